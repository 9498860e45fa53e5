"""A simulated lender whose true risk is known.

Its parts, in the order in which they are used::

    terms, calendar      words and numbers; months, seasons, the regime
    moves, dynamics      what may happen in a slot of a day, and which tables rule which day
    people               the customers, drawn once            (random)
    walk                 days forwards: the hidden path        (random)
    ledger, streams      the path as bookings and other events (random odds and ends)
    arrivals             when events reach the log             (random)
    backward, risk       days backwards: the true risk         (exact)
    belief               what can be known of it from bookings (exact)
    simulation           all of it in one call: start reading here
"""

from headwater.apps.demo.lender.simulation import Lender, simulate

__all__ = ["Lender", "simulate"]

"""The words and numbers of the simulated lender: levels of money, states of a life, the slots of a day.

Nothing is computed here. Every other module of this package reads these constants, so that the walk
that makes the events and the recursion that solves the risk cannot disagree. Read ``moves`` next.

Money is counted in *units*, one twelfth of an account's monthly income. *Headroom* is what may still be
spent before the overdraft limit is passed, in whole units; the odd cents are the ledger's matter::

    headroom   -6 ........ -1 | 0 ......... limit | ................. 51
               beyond the     | overdraft, within | the customer's
               agreed limit   | the agreed limit  | own money
               <- sanction ->
"""

from __future__ import annotations

from typing import Final

BEYOND: Final = 6  # levels below the limit
LEVELS: Final = 58  # headroom -6 .. 51; a level is an index from 0
SALARY: Final = 12  # units: one month's income
BENEFIT: Final = 6
TOLERANCE: Final = -4  # a payment that would leave less headroom than this is returned
NIGHTS: Final = 3  # nights running beyond the limit until sanction interest is charged

CALM, STRAINED, CRISIS, JOBLESS = range(4)
STATES: Final = ("calm", "strained", "crisis", "jobless")

THRIFTY, ORDINARY, CARELESS = range(3)
START: Final = (0.93, 0.07, 0.0, 0.0)  # states on the first day

TEMPERAMENTS: Final = ("thrifty", "ordinary", "careless")
TEMPERS: Final = (0.40, 0.38, 0.22)  # their shares
PAYDAYS: Final = (1, 10, 15, 24, 27)
GROUPS: Final = len(PAYDAYS) * len(TEMPERAMENTS)  # group = payday index * 3 + temperament

RENT_DAY: Final = 3
ENERGY_DAY: Final = 12
LOAN_DAY: Final = 20  # with a payday's morrow, every day of the month has at most one due

# The slots of a day, in order. A point happens at one second that is the account's own; in a band at most one
# thing happens, at a second drawn evenly from it. Bands do not overlap, so order within a day is known.
NIGHT, INCOME, DUE, LIFE, MORNING, AFTERNOON, HELP, EVENING = range(8)
_HOUR: Final = 3_600
BANDS: Final[dict[int, tuple[int, int]]] = {
    NIGHT: (10 * 60, 3 * _HOUR),  # point: the bank's nightly run
    INCOME: (5 * _HOUR, 6 * _HOUR + 1_800),
    DUE: (6 * _HOUR + 1_800, 7 * _HOUR + 1_800),
    LIFE: (7 * _HOUR + 1_800, 8 * _HOUR),  # point: the morning's post
    MORNING: (8 * _HOUR, 12 * _HOUR),
    AFTERNOON: (12 * _HOUR, 16 * _HOUR),
    HELP: (16 * _HOUR, 17 * _HOUR),
    EVENING: (17 * _HOUR, 23 * _HOUR + 1_800),
}
OPENING: Final = (3 * _HOUR + 1_800, 5 * _HOUR)  # the first booking of an account, once
DAY_SECONDS: Final = 24 * _HOUR

PURPOSES: Final = (
    "opening", "salary", "benefit", "rent", "energy", "loan_payment", "savings", "transfer_in",
    "groceries", "shopping", "leisure", "cash", "gambling", "pay_later", "repair",
    "returned_fee", "overdraft_interest", "sanction_interest",
)  # fmt: skip
CODE: Final = {name: code for code, name in enumerate(PURPOSES)}

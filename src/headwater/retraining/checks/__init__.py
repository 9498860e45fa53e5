"""The families of checks that a gate makes, a module each: functions from evidence and rules to checks.

Called by ``retraining.gate``, which says in which order.
"""

"""What must survive beside the log: snapshots of the state, and the decisions that were taken.

Both are derived from the log, and both say from which part of it: a snapshot is state and offset together,
a decision names its offset and the hashes of all that made it. Called by ``serving`` and ``apps``. Start with
``decisions``.
"""

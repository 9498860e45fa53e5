"""What serves: Headwater with everything, others with the part that is theirs.

Each is started as its makers say, in a process of its own; the load comes from the contender's worker, which
runs Headwater's generator (``headwater.apps.load``) against everybody alike.
"""

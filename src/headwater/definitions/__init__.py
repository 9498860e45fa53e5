"""What the user declares: streams, feature views, labels, models, policies, a project.

All are frozen values that check themselves when they are made and report all problems at once. Read
``stream``, ``aggregate`` and ``view`` first; ``compile`` turns any of them into canonical JSON with a hash,
and ``loading`` finds the project in the user's file.
"""

"""From outcome back to model: when to train again, the candidate, the gate, and who decides from then on.

Read ``triggers`` first (is a model due, and why), then ``run`` (one retraining), ``gate`` (candidate against
champion) and ``promotion`` (the change of champion, and the way back). Meets the rest below ``apps``.
"""

"""Models: score, explain, evaluate, keep. The only floor that knows learning libraries.

Read ``scorer`` first: it turns a fitted estimator into something that scores and explains. ``forest`` does it
for trees, ``linear`` for logistic regression, ``generic`` for the rest; ``metrics`` says how good it is.

Nothing is imported here, because the libraries behind these modules take seconds to load.
"""

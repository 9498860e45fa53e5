"""Whether the loop earns its keep: four lives of one model through a change of regime.

Read ``lives`` for what is lived, ``recovery`` for what is measured of it, ``picture`` for how it is drawn.
"""

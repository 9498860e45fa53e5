"""The edge: what people and machines touch. Only here are clocks and the environment read."""

import os

# OpenMP's threads spin while they wait for each other, unless told not to before scikit-learn loads it. On a
# processor that is shared, fitting a model then takes ten times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

"""The edge: what people and machines touch. Only here are clocks and the environment read."""

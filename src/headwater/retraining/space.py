"""What may be tried of an estimator's hyper-parameters: dimensions, and a usual space for the usual kinds.

Called by ``search``. Kinds are told by the hyper-parameters that they have, not by class, so that LightGBM,
XGBoost and scikit-learn need not be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Dimension:
    """One hyper-parameter: a range, or choices.

    Attributes:
        low, high: of a range, both included.
        log: tried on a logarithmic scale.
        whole: whole numbers only.
        choices: instead of a range.
    """

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        if self.choices:
            return {"choices": list(self.choices)}
        return {"low": self.low, "high": self.high, "log": self.log, "whole": self.whole}


_RATE = Dimension(0.02, 0.3, log=True)
_SPACES: tuple[tuple[str, Mapping[str, Dimension]], ...] = (
    (  # scikit-learn's histogram gradient boosting
        "max_leaf_nodes",
        {
            "learning_rate": _RATE,
            "max_iter": Dimension(30, 300, log=True, whole=True),
            "max_leaf_nodes": Dimension(4, 63, log=True, whole=True),
            "min_samples_leaf": Dimension(5, 200, log=True, whole=True),
            "l2_regularization": Dimension(1e-3, 30.0, log=True),
        },
    ),
    (  # LightGBM
        "num_leaves",
        {
            "learning_rate": _RATE,
            "n_estimators": Dimension(30, 300, log=True, whole=True),
            "num_leaves": Dimension(4, 63, log=True, whole=True),
            "min_child_samples": Dimension(5, 200, log=True, whole=True),
            "reg_lambda": Dimension(1e-3, 30.0, log=True),
        },
    ),
    (  # XGBoost
        "min_child_weight",
        {
            "learning_rate": _RATE,
            "n_estimators": Dimension(30, 300, log=True, whole=True),
            "max_depth": Dimension(2, 8, whole=True),
            "min_child_weight": Dimension(0.5, 50.0, log=True),
            "reg_lambda": Dimension(1e-3, 30.0, log=True),
        },
    ),
    ("C", {"C": Dimension(1e-4, 1e2, log=True)}),  # linear
)


def space_of(estimator: Any) -> dict[str, Dimension]:
    """The usual space of an estimator, or of a step of its pipeline; empty where there is none.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> list(space_of(LogisticRegression()))
        ['C']
    """
    known = estimator.get_params(deep=True)
    for mark, space in _SPACES:
        prefixes = [name[: -len(mark)] for name in known if name == mark or name.endswith(f"__{mark}")]
        for prefix in prefixes:
            if all(prefix + name in known for name in space):
                return {prefix + name: one for name, one in space.items()}
    return {}

"""Rates by group, from fairlearn. Imported by ``monitoring.fairness`` alone, where fairlearn is installed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from fairlearn.metrics import MetricFrame, count, selection_rate, true_positive_rate

Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
Int64 = npt.NDArray[np.int64]


def selection(selected: Bool, group: Int64) -> tuple[Float64, Int64, float]:
    """Selection rate and rows of each group, shapes (groups,), and the lowest rate over the highest."""
    frame = MetricFrame(
        metrics={"rate": selection_rate, "rows": count},
        y_true=selected,
        y_pred=selected,
        sensitive_features=group,
    )
    rates = frame.by_group["rate"].to_numpy(np.float64)
    rows = frame.by_group["rows"].to_numpy(np.float64).astype(np.int64)
    return rates, rows, float(frame.ratio(method="between_groups")["rate"])


def opportunity(deserving: Bool, selected: Bool, group: Int64) -> Float64:
    """The share of the deserving who are selected, of each group, shape (groups,)."""
    frame = MetricFrame(
        metrics=true_positive_rate, y_true=deserving, y_pred=selected, sensitive_features=group
    )
    return np.asarray(frame.by_group.to_numpy(np.float64), np.float64)

"""Convert a scikit-learn estimator to ONNX and run it in ONNX Runtime, in float64.

Imported only by ``models.generic``, and only where both libraries are installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType

from headwater.models.matrix import Float64


def convert(estimator: Any, features: int) -> Callable[[Float64], Float64] | None:
    """A function from rows, shape (n, features), to probabilities of the positive class, shape (n,).

    None if the estimator, or one of its steps, does not convert to float64.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # converters warn of versions that the user cannot change
            model = convert_sklearn(
                estimator,
                initial_types=[("rows", DoubleTensorType([None, features]))],
                options={"zipmap": False},
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception:  # noqa: BLE001 - converters raise anything they like; the estimator scores itself then
        return None
    return lambda X: np.asarray(session.run(None, {"rows": X})[1], np.float64)[:, 1]

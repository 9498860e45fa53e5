"""One row through 200 trees of 31 leaves on 40 features: the score, and the score with its reasons.

Method: three libraries fit a model of the same size on the same 20,000 rows, a twentieth of them null. Each
contender runs in its own process, one thread, with everything prepared beforehand; each call gets another of
2,000 rows and is timed by itself through the Python call that a service would make. Contenders take turns
over the rounds; the median over rounds of the median call counts, and each ratio is to Headwater on the same
model. `differs` is the largest difference, over 200 rows, from the probabilities of the library (or from its
own contributions, in log-odds), so that nobody is fast by being wrong: ONNX Runtime compares in float32, and
XGBoost's own contributions are float32.

    python benchmarks/score_row.py --json build/bench/score_row.json
"""

# ruff: noqa: PLC0415 - a contender loads its own library and no other

from __future__ import annotations

import argparse
import ctypes
import json
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FEATURES, TREES, LEAVES, ROWS = 40, 200, 31, 2_000
SECONDS, CALLS = 2.0, 20_000
LIBRARIES = ["scikit-learn", "lightgbm", "xgboost-cpu", "onnxruntime", "shap", "numba", "numpy"]

Float64 = npt.NDArray[np.float64]
Call = Callable[[Float64], Any]  # from one row, shape (features,), to a score or to contributions


def data() -> tuple[Float64, npt.NDArray[np.int64]]:
    """A problem with interactions, so that trees grow deep and uneven."""
    random = np.random.default_rng(0)
    X = random.normal(size=(20_000, FEATURES))
    log_odds = X[:, :10] @ random.normal(size=10) + X[:, 10] * X[:, 11] + np.sin(3 * X[:, 12])
    log_odds += (X[:, 13] > 0.5) * X[:, 14] + random.logistic(size=len(X))
    X[random.random(X.shape) < 0.05] = np.nan
    return X, (log_odds > 0).astype(np.int64)


def fit(folder: Path) -> None:
    """Fit the three models once; every contender loads its own."""
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier
    from xgboost import XGBClassifier

    X, y = data()
    models = {
        "sklearn": HistGradientBoostingClassifier(
            max_iter=TREES, max_leaf_nodes=LEAVES, learning_rate=0.05, early_stopping=False
        ),
        "lightgbm": LGBMClassifier(
            n_estimators=TREES, num_leaves=LEAVES, learning_rate=0.05, verbose=-1, n_jobs=1
        ),
        "xgboost": XGBClassifier(
            n_estimators=TREES,
            max_leaves=LEAVES,
            max_depth=0,
            grow_policy="lossguide",
            learning_rate=0.05,
            n_jobs=1,
        ),
    }
    for name, model in models.items():
        (folder / name).write_bytes(pickle.dumps(model.fit(X, y)))


def headwater(model: Any) -> Call:
    call: Call = scorer(model).score_one
    return call


def headwater_reasons(model: Any) -> Call:
    ready = scorer(model)

    def call(x: Float64) -> Float64:
        ready.score_one(x)
        phi: Float64 = ready.contributions(x[np.newaxis])[0][0]
        return phi

    return call


def scorer(model: Any) -> Any:
    from headwater.models.scorer import scorer_for

    ready = scorer_for(model, [f"x{place}" for place in range(FEATURES)])
    assert ready.kind == "forest", ready.why_not_flat
    return ready


def predict_proba(model: Any) -> Call:
    return lambda x: model.predict_proba(x[np.newaxis])[0, 1]


def shap_tree(model: Any) -> Call:
    import shap

    explainer = shap.TreeExplainer(model)
    return lambda x: explainer.shap_values(x[np.newaxis], check_additivity=False)[0]


def onnx(model: Any) -> Call:
    import onnxruntime
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    kind = [("rows", FloatTensorType([None, FEATURES]))]
    converted = convert_sklearn(model, initial_types=kind, options={"zipmap": False})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        converted.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: session.run(None, {"rows": x[np.newaxis].astype(np.float32)})[1][0, 1]


def booster(model: Any) -> Call:
    inner = model.booster_
    return lambda x: inner.predict(x[np.newaxis], num_threads=1)[0]


def booster_reasons(model: Any) -> Call:
    inner = model.booster_
    return lambda x: inner.predict(x[np.newaxis], pred_contrib=True, num_threads=1)[0, :-1]


def single_row_fast(model: Any) -> Call:
    """LightGBM's C interface, made for this: its buffers are prepared once and filled by each call."""
    from lightgbm.basic import _LIB  # type: ignore[attr-defined]

    handle, config = model.booster_._handle, ctypes.c_void_p()  # noqa: SLF001 - the C interface's own
    made = _LIB.LGBM_BoosterPredictForMatSingleRowFastInit(
        handle, 0, 0, -1, 1, ctypes.c_int32(FEATURES), b"num_threads=1", ctypes.byref(config)
    )
    assert made == 0
    row, out, length = np.empty(FEATURES), np.empty(1), ctypes.c_int64()
    row_at, out_at, length_at = (
        ctypes.c_void_p(row.ctypes.data),
        ctypes.c_void_p(out.ctypes.data),
        ctypes.byref(length),
    )
    predict = _LIB.LGBM_BoosterPredictForMatSingleRowFast

    def call(x: Float64) -> float:
        row[:] = x
        predict(config, row_at, length_at, out_at)
        return float(out[0])

    return call


def inplace(model: Any) -> Call:
    inner = model.get_booster()
    return lambda x: inner.inplace_predict(x[np.newaxis])[0]


def inplace_reasons(model: Any) -> Call:
    import xgboost

    inner = model.get_booster()
    return lambda x: inner.predict(xgboost.DMatrix(x[np.newaxis], nthread=1), pred_contribs=True)[0, :-1]


SCORES: dict[str, tuple[str, Callable[[Any], Call]]] = {
    "headwater (scikit-learn)": ("sklearn", headwater),
    "onnxruntime (scikit-learn)": ("sklearn", onnx),
    "scikit-learn predict_proba": ("sklearn", predict_proba),
    "headwater (LightGBM)": ("lightgbm", headwater),
    "LightGBM single-row fast, C": ("lightgbm", single_row_fast),
    "LightGBM Booster.predict": ("lightgbm", booster),
    "headwater (XGBoost)": ("xgboost", headwater),
    "XGBoost inplace_predict": ("xgboost", inplace),
}
REASONS: dict[str, tuple[str, Callable[[Any], Call]]] = {
    "headwater + TreeSHAP (scikit-learn)": ("sklearn", headwater_reasons),
    "shap TreeExplainer (scikit-learn)": ("sklearn", shap_tree),
    "headwater + TreeSHAP (LightGBM)": ("lightgbm", headwater_reasons),
    "LightGBM pred_contrib": ("lightgbm", booster_reasons),
    "headwater + TreeSHAP (XGBoost)": ("xgboost", headwater_reasons),
    "XGBoost pred_contribs": ("xgboost", inplace_reasons),
}
CONTENDERS = {**SCORES, **REASONS}


def truth(library: str, model: Any, X: Float64, *, reasons: bool) -> Float64:
    """What the library itself says of all rows at once."""
    if not reasons:
        return np.asarray(model.predict_proba(X)[:, 1], np.float64)
    if library == "sklearn":
        import shap

        return np.asarray(shap.TreeExplainer(model).shap_values(X, check_additivity=False))
    if library == "lightgbm":
        return np.asarray(model.booster_.predict(X, pred_contrib=True))[:, :-1]
    import xgboost

    return np.asarray(model.get_booster().predict(xgboost.DMatrix(X), pred_contribs=True), np.float64)[:, :-1]


def measure(name: str, folder: Path) -> dict[str, float]:
    """One round of one contender, in this process."""
    library, prepare = CONTENDERS[name]
    model = pickle.loads((folder / library).read_bytes())  # our own file, written by `fit`
    X = data()[0][:ROWS]
    rows = [np.ascontiguousarray(x) for x in X]
    call = prepare(model)
    for x in rows[:20]:
        call(x)
    took: list[int] = []
    start = time.perf_counter()
    while len(took) < CALLS and time.perf_counter() - start < SECONDS:
        x = rows[len(took) % ROWS]
        begin = time.perf_counter_ns()
        call(x)
        took.append(time.perf_counter_ns() - begin)
    few = X[:200]
    apart = np.abs(
        np.array([call(x) for x in few]) - truth(library, model, few, reasons=name in REASONS)
    ).max()
    p50, p99 = np.percentile(took, [50, 99]) / 1e3
    return {"p50_us": float(p50), "p99_us": float(p99), "calls": len(took), "differs": float(apart)}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.folder)))
        return
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder:
        fit(Path(folder))
        for _ in range(arguments.rounds):
            for name in CONTENDERS:
                rounds[name].append(_own_process(name, Path(folder)))
    medians = {
        name: {key: statistics.median(one[key] for one in results) for key in results[0]}
        for name, results in rounds.items()
    }
    _table(medians)
    if arguments.json:
        facts = {"machine": _machine(), "method": __doc__, "median": medians, "rounds": rounds}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(facts, indent=2))


def _own_process(name: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", __file__, "--only", name, "--folder", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _table(medians: dict[str, dict[str, float]]) -> None:
    print(f"{'one row, 40 features, 200 trees':<40}{'p50 us':>10}{'p99 us':>10}{'ratio':>10}{'differs':>10}")
    ours = 1.0
    for name, figures in medians.items():
        if name.startswith("headwater"):
            ours = figures["p50_us"]
        ratio = f"{figures['p50_us'] / ours:.1f}x"
        print(
            f"{name:<40}{figures['p50_us']:>10,.1f}{figures['p99_us']:>10,.1f}{ratio:>10}{figures['differs']:>10.0e}"
        )


def _machine() -> dict[str, Any]:
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{library: metadata.version(library) for library in LIBRARIES},
    }


if __name__ == "__main__":
    main()

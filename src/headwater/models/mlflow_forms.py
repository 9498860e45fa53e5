"""What a training looks like in MLflow: model with signature and example, dataset, metrics, lineage.

Called by ``registry``, which keeps them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, DataType, Schema, TensorSpec

from headwater.core.instant import iso
from headwater.models.artifact import Artifact, versions
from headwater.models.metrics import Evaluation
from headwater.models.reference import LEVELS


def save_model(artifact: Artifact, home: Path) -> None:
    """The estimator as MLflow's own scikit-learn model, so that its other tools can use it.

    Its example is nobody's row: each line has the inputs at one quantile of the training rows.
    """
    names = artifact.inputs.names
    mlflow.sklearn.save_model(
        artifact.estimator,
        str(home),
        serialization_format="cloudpickle",
        conda_env=_environment(artifact.estimator),  # given, so that MLflow does not infer it for seconds
        signature=ModelSignature(
            inputs=_schema(artifact), outputs=Schema([TensorSpec(np.dtype(np.float64), (-1, 2))])
        ),
        input_example=pd.DataFrame(
            {name: artifact.references[name].quantiles for name in names}, index=range(len(LEVELS))
        ),
        pyfunc_predict_fn="predict_proba",
    )


def lineage(artifact: Artifact) -> dict[str, str]:
    """Tags that lead from a run or a version back to the log: which offsets, known by when, which rows."""
    manifest = artifact.manifest
    sources = manifest.get("sources", {}).values()
    places = [place for one in sources for place in (one["first"], one["last"]) if place is not None]
    found = {"mlflow.source.name": "headwater", "mlflow.source.type": "LOCAL"}
    if places:
        found["headwater.log_offsets"] = f"{min(places)} to {max(places)}"
    if "known_by" in manifest:
        found["headwater.known_by"] = iso(manifest["known_by"])
    if "digest" in manifest:
        found["headwater.manifest"] = manifest["digest"]
    return found


def dataset(artifact: Artifact) -> DatasetInput:
    """The rows that were learned from and judged on: digest, schema, counts, and where they are from."""
    manifest = artifact.manifest
    source = CodeDatasetSource({**lineage(artifact), "streams": manifest.get("sources", {})})
    made = Dataset(
        name=artifact.model,
        digest=str(manifest.get("checksums", {}).get("X", ""))[:32] or "none",
        source_type=source._get_source_type(),  # noqa: SLF001 - the library's own name for it
        source=source.to_json(),
        schema=json.dumps({"mlflow_colspec": _schema(artifact).to_dict()}),
        profile=json.dumps(
            {
                "num_rows": manifest.get("rows", 0),
                "num_elements": manifest.get("rows", 0) * len(artifact.inputs.names),
                "positives": manifest.get("positives", 0),
            }
        ),
    )
    return DatasetInput(made, [InputTag("mlflow.data.context", "training")])


def metrics(evaluation: Evaluation, now: int, model: str, data: Dataset) -> Iterator[Metric]:
    """Each figure as a metric of the model on the data, and its interval as two more.

    Args:
        evaluation: of the test rows.
        now: milliseconds UTC.
        model: MLflow's id of the logged model.
        data: what it was judged on.
    """
    yield Metric("test_rows", evaluation.rows, now, 0, model, data.name, data.digest)
    yield Metric("test_positives", evaluation.positives, now, 0, model, data.name, data.digest)
    for name, figure in evaluation.scalars().items():
        for ending, value in (("", figure.value), ("_low", figure.low), ("_high", figure.high)):
            if math.isfinite(value):
                yield Metric(name + ending, value, now, 0, model, data.name, data.digest)


def params(estimator: Any) -> dict[str, Any]:
    """The estimator's class and its own parameters, those of its parts included."""
    named = estimator.get_params(deep=True)
    plain = {name: value for name, value in named.items() if not hasattr(value, "get_params")}
    return {"estimator": type(estimator).__name__, **plain}


def _schema(artifact: Artifact) -> Schema:
    return Schema([ColSpec(DataType.double, name) for name in artifact.inputs.names])


def _environment(estimator: Any) -> dict[str, Any]:
    number = versions(estimator)
    python = number.pop("python")
    pinned = [f"{name}=={number[name]}" for name in number if name not in ("headwater", "polars")]
    return {
        "name": "headwater-model",
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": [f"mlflow=={mlflow.__version__}", *pinned]}],
    }

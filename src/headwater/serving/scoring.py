"""A model ready to serve: from the features of an entity to its score, and to what each feature added.

The inputs and the estimator are those of the artifact, the scorer is the one that judged the model in
training. Made once by the edge from what the registry holds; called by ``live``, ``decide`` and ``replay``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.core.errors import ModelError
from headwater.definitions.compile import content_hash
from headwater.definitions.model import Model
from headwater.models.artifact import Artifact
from headwater.models.inputs import Inputs
from headwater.models.scorer import Scorer, scorer_for

Float64 = npt.NDArray[np.float64]


class Scoring:
    """One version of a model.

    Args:
        model: its definition.
        artifact: what was trained.
        digest: the artifact's seal, as the registry names it.
        scorer: of the artifact's estimator; made here if none is given.

    Attributes:
        definition_hash: of the definition, equal to the artifact's.

    Raises:
        ModelError: the artifact was trained from another definition.
    """

    def __init__(self, model: Model, artifact: Artifact, digest: str, scorer: Scorer | None = None) -> None:
        self.definition_hash = content_hash(model)
        if artifact.definition_hash != self.definition_hash:
            raise ModelError.of(
                f"the model {model.name} was trained from another definition",
                expected=f"definition {self.definition_hash}",
                got=f"definition {artifact.definition_hash}",
                do="train it again, or go back to the definition that it was trained from",
            )
        self.model = model
        self.artifact = artifact
        self.digest = digest
        self.scorer = scorer or scorer_for(artifact.estimator, artifact.inputs.names, artifact.background)

    @property
    def names(self) -> tuple[str, ...]:
        """The inputs, in the order of the vector."""
        return self.artifact.inputs.names

    def vector(self, values: Mapping[str, Any]) -> Float64:
        """The feature vector, shape (f,), of view outputs and request columns as Python values.

        Raises:
            DataError: a column is missing.
        """
        return self.artifact.inputs.row(values)

    def score(self, x: Float64) -> float:
        """The score of a feature vector, shape (f,).

        Raises:
            ModelError: the estimator takes no null, and there is one.
        """
        return self.scorer.score_one(x)

    def contributions(self, x: Float64) -> tuple[Float64, float]:
        """What each input added to the score, shape (f,), and the base, in the scorer's space."""
        moved, base = self.scorer.contributions(x[np.newaxis])
        return moved[0], base

    def reading(self, model: Model) -> Scoring | None:
        """The same estimator on the features of another definition, or None if it cannot read them.

        It can if its inputs are called the same there, in the same order, and texts are texts: then what the
        other definition alone does is seen, without another model.

        Args:
            model: the other definition.
        """
        inputs = self.artifact.inputs
        texts = {name for name in model.inputs if _is_text(model.columns[name])}
        if model.inputs != inputs.names or texts != set(inputs.categories):
            return None
        types = {name: dtype for name, dtype in model.columns.items() if name not in model.derived}
        read = Inputs(inputs.names, types, dict(model.derived), inputs.categories)
        artifact = replace(self.artifact, definition_hash=content_hash(model), inputs=read)
        return Scoring(model, artifact, self.digest, self.scorer)


def _is_text(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.String | pl.Enum | pl.Categorical)

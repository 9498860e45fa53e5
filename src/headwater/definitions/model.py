"""A model: features in, a label to foresee, when to look, and an estimator.

Written by the user; trained by ``training``, scored by ``serving``. The order of ``inputs`` is the order
of the feature vector everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import polars as pl

from headwater.core.errors import DefinitionError
from headwater.definitions.definition import Definition, frozen, name_problems, path
from headwater.definitions.label import Label
from headwater.definitions.model_checks import (
    column_types,
    kind_problems,
    link_problems,
    protected_problems,
)
from headwater.definitions.observe import Observe, Rolling
from headwater.definitions.spans import under
from headwater.definitions.view import FeatureView


@dataclass(frozen=True, init=False, eq=False)
class Model(Definition):
    """What is foreseen, from which features, learned how.

    Args:
        name: an identifier, unique in the project.
        features: the views. The first one's key is the entity that the model is about.
        label: ``hw.happens(...)`` or ``hw.outcome(...)``.
        observe: ``hw.every(...)`` or ``hw.each(...)``.
        estimator: any scikit-learn-compatible classifier with ``fit`` and ``predict_proba``.
        derived: name to a row-level expression over the features and request columns.
        request: columns of the observed event (``hw.each``) or of the decision request (``hw.every``).
        retrain: ``hw.rolling(...)``.
        protected: columns (view outputs, request columns or derived ones) that say who somebody is, such as
            a sex or an age. They are computed with the others, and fairness is reported by them, but they are
            no inputs, and no derived input may read them.
        protected_inputs: those of them that the model may read nevertheless.

    Attributes:
        columns: everything that ``derived`` gives or may read, name to type: the views' outputs, the request
            columns, the derived ones.
        inputs: the feature vector: the columns without dates and times, which are for ``derived`` alone, and
            without protected ones.

    Raises:
        DefinitionError: with all problems at once.

    Example:
        >>> import polars as pl
        >>> import headwater as hw
        >>> from sklearn.linear_model import LogisticRegression
        >>> visits = hw.Stream("visits", {"user": pl.Int64, "time": pl.Datetime("us", "UTC")})
        >>> activity = hw.FeatureView("activity", visits, "user", {"n": hw.count(over=["7d", "30d"])})
        >>> returns = hw.Model(
        ...     "returns",
        ...     features=[activity],
        ...     derived={"share": pl.col("n_7d") / pl.col("n_30d")},
        ...     label=hw.happens(visits, within="7d"),
        ...     observe=hw.every("7d"),
        ...     estimator=LogisticRegression(),
        ... )
        >>> returns.inputs
        ('n_7d', 'n_30d', 'share')
    """

    hidden: ClassVar[frozenset[str]] = frozenset({"columns"})
    optional: ClassVar[frozenset[str]] = frozenset({"protected", "protected_inputs"})
    also: ClassVar[tuple[str, ...]] = ("inputs",)

    name: str
    features: tuple[FeatureView, ...]
    label: Label
    observe: Observe
    estimator: Any
    derived: Mapping[str, pl.Expr]
    request: tuple[str, ...]
    retrain: Rolling | None
    protected: tuple[str, ...]
    protected_inputs: tuple[str, ...]
    columns: Mapping[str, pl.DataType] = field(init=False, repr=False)

    def __init__(
        self,
        name: str,
        features: Sequence[FeatureView],
        label: Label,
        observe: Observe,
        estimator: Any,
        derived: Mapping[str, pl.Expr] | None = None,
        request: Sequence[str] = (),
        retrain: Rolling | None = None,
        protected: Sequence[str] = (),
        protected_inputs: Sequence[str] = (),
    ) -> None:
        where = path(name, Model)
        problems = name_problems(name, f"{where}.name", "model")
        problems += under(where, kind_problems(features, label, observe, estimator, retrain))
        DefinitionError.raise_if(problems)
        self._set(
            name=name,
            features=tuple(features),
            label=label,
            observe=observe,
            estimator=estimator,
            derived=frozen(derived or {}),
            request=_names(request),
            retrain=retrain,
            protected=_names(protected),
            protected_inputs=_names(protected_inputs),
        )
        types, found = column_types(self.features, self.request, self.observe, self.derived)
        problems += under(
            where, [*link_problems(self.features, label, observe, self.request, retrain), *found]
        )
        shielded = protected_problems(self.protected, self.protected_inputs, types, self.derived)
        DefinitionError.raise_if([*problems, *under(where, shielded)])
        self._set(columns=frozen(types))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The distinct keys of the views, in order."""
        return tuple(dict.fromkeys(view.key for view in self.features))

    @property
    def entity(self) -> str:
        """The key that the model is about: that of its first view."""
        return self.features[0].key

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the feature vector, in its order: views, request columns, derived."""
        kept_out = set(self.protected) - set(self.protected_inputs)
        return tuple(
            name for name, dtype in self.columns.items() if not dtype.is_temporal() and name not in kept_out
        )


def _names(given: Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)

"""Which columns are made of personal ones, so that their values are shown to nobody without need.

Called by ``apps.masking`` and ``training.card``.
"""

from __future__ import annotations

from headwater.definitions.expression import columns
from headwater.definitions.model import Model
from headwater.definitions.observe import Each
from headwater.definitions.view import FeatureView


def personal_outputs(view: FeatureView) -> set[str]:
    """The outputs of a view that are made of personal columns, and its key if that is one."""
    personal = set(view.stream.personal)
    return (personal & {view.key}) | {
        output.name for output in view.outputs if personal & set(output.aggregate.reads)
    }


def personal_inputs(model: Model) -> set[str]:
    """The inputs of a model that are made of personal columns, keys included."""
    names: set[str] = set().union(*map(personal_outputs, model.features))
    if isinstance(model.observe, Each):
        names |= set(model.request) & set(model.observe.stream.personal)
    names |= {name for name, expr in model.derived.items() if set(columns(expr)) & names}
    return names

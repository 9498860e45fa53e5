"""The deciders that decisions were made with, found again: model by its seal, policy and definition by hash.

Called by ``cli.audit`` to derive past decisions again.
"""

from __future__ import annotations

from collections.abc import Mapping

from headwater.core.errors import ModelError
from headwater.definitions.compile import content_hash
from headwater.definitions.policy import Policy
from headwater.definitions.project import Project
from headwater.models.registry import Registry, Version
from headwater.serving.decide import Decider
from headwater.serving.scoring import Scoring
from headwater.store.decision import Decision


class Deciders:
    """Finds deciders in a project and its registry; each is opened once.

    Args:
        project: the definitions of today.
        registry: all versions of the models.
    """

    def __init__(self, project: Project, registry: Registry) -> None:
        self._policies: Mapping[str, Policy] = {policy.name: policy for policy in project.policies}
        self._registry = registry
        self._versions: dict[str, list[Version]] = {}
        self._found: dict[tuple[str, str, str], Decider] = {}

    def of(self, decision: Decision) -> Decider:
        """The decider of a decision.

        Raises:
            ModelError: its policy, its model's definition or its model's version is not there any more.
        """
        policy = self._policies.get(decision.policy)
        if policy is None or content_hash(policy) != decision.policy_hash:
            raise _gone(f"the policy {decision.policy!r} is not what it was", decision.policy_hash)
        if content_hash(policy.model) != decision.definition_hash:
            raise _gone(f"the definition of {decision.model!r} is not what it was", decision.definition_hash)
        place = (decision.policy_hash, decision.definition_hash, decision.model_digest)
        if place not in self._found:
            self._found[place] = Decider(policy, self._scoring(policy, decision.model_digest))
        return self._found[place]

    def _scoring(self, policy: Policy, digest: str) -> Scoring:
        name = policy.model.name
        if name not in self._versions:
            self._versions[name] = self._registry.versions(name)
        version = next((one for one in self._versions[name] if one.digest == digest), None)
        if version is None:
            raise _gone(f"the version of {name!r} is not in the registry any more", digest)
        return Scoring(policy.model, self._registry.load(name, version.number), digest)


def _gone(what: str, seal: str) -> ModelError:
    return ModelError.of(
        what, expected=seal, do="derive the decision again with the project file and registry of that time"
    )

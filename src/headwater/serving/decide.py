"""From a score to a decision: the policy's band, the reasons, and the record of all that it rested on.

Called by the edges and by ``replay``; what comes out is kept by ``store.decisions``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from headwater.core.errors import ModelError
from headwater.definitions.compile import content_hash
from headwater.definitions.policy import Policy
from headwater.serving.live import Scored
from headwater.serving.reasons import Reasons
from headwater.serving.recall import told
from headwater.serving.scoring import Float64, Scoring
from headwater.store.decision import Decision, Reason, numbers


class Decider:
    """One policy on one version of its model.

    Args:
        policy: bands and reasons.
        scoring: the model.

    Attributes:
        policy_hash: of the policy's definition.
        keys: the model's key columns and their types.

    Raises:
        ModelError: the policy is for another model.
    """

    def __init__(self, policy: Policy, scoring: Scoring) -> None:
        if policy.model.name != scoring.model.name:
            raise ModelError.of(
                "a policy cannot decide on the score of another model",
                expected=policy.model.name,
                got=scoring.model.name,
                where=policy.name,
                do="name the policy's own model",
            )
        self.policy = policy
        self.scoring = scoring
        self.policy_hash = content_hash(policy)
        self.keys = {view.key: view.stream.schema[view.key] for view in policy.model.features}
        self._reasons = Reasons(policy, scoring)

    def decide(self, scored: Scored, at: int) -> Decision:
        """Decide on a score.

        Args:
            scored: as from ``Live.score``, or of a refresh.
            at: now, microseconds UTC.
        """
        return self._decision(scored, self._reasons(scored.x), at)

    def decide_each(self, scored: Sequence[Scored], X: Float64, at: int) -> list[Decision]:
        """:meth:`decide` on several scores of a forest.

        Args:
            scored: n of them.
            X: their feature vectors, shape (n, f).
            at: now, microseconds UTC.
        """
        reasons = self._reasons.each(X)
        return [self._decision(one, why, at) for one, why in zip(scored, reasons, strict=True)]

    def _decision(self, scored: Scored, reasons: tuple[Reason, ...], at: int) -> Decision:
        return Decision(
            model=scored.model,
            model_digest=self.scoring.digest,
            definition_hash=self.scoring.definition_hash,
            policy=self.policy.name,
            policy_hash=self.policy_hash,
            keys=dict(scored.keys),
            time=scored.time,
            offset=scored.offset,
            decided_at=at,
            request=told(scored.request),
            features=numbers(self.scoring.names, scored.x),
            score=scored.score,
            band=self.policy.band(scored.score),
            reasons=reasons,
            places=dict(scored.places),
        )


def sound(scored: Scored, decision: Decision) -> tuple[Scored, Decision]:
    """The same, if its numbers are such that a record can hold them.

    Raises:
        ModelError: the score or a contribution is no number.
    """
    if all(map(math.isfinite, (scored.score, *(one.contribution for one in decision.reasons)))):
        return scored, decision
    raise ModelError.of(
        "the model gave no number",
        expected="a score, and what each input added to it, as finite numbers",
        got=f"{scored.score}",
        where=decision.model,
        do="look at its estimator; train it again",
    )

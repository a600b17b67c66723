"""How an orchestrator process behaves: one frozen value."""

from collections.abc import Mapping

import msgspec

from saga.core.sampling import Sampling

EVERYBODY = "*"


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """Whose word counts."""

    gateways: frozenset[str] = frozenset()
    """Broker users who vouch for people: their `saga-actor` is believed, and only they bring decisions."""
    approvers: Mapping[str, frozenset[str]] = {}
    """The roles of each person; those of `*` are everybody's."""
    orchestrators: frozenset[str] = frozenset()
    """Broker users of orchestrators, which answer for sub-sagas; a process always believes its own."""

    def roles_of(self, person: str) -> frozenset[str]:
        """What a person may decide as."""
        return self.approvers.get(person, frozenset()) | self.approvers.get(EVERYBODY, frozenset())


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits and intervals, with their units."""

    max_in_flight: int = 2_000
    """Commands sent and unanswered above which no further start is taken: `saga.start` is durable, let it wait."""
    batch_max: int = 500
    """Inputs of one commit."""
    prefetch: int = 1_000
    """Unsettled deliveries of one queue."""
    starts_prefetch: int = 200
    wake_interval_seconds: float = 0.5
    wake_claim_max: int = 500
    wake_lease_seconds: float = 30.0
    dispatched_after_seconds: float = 1.0
    """A saga still waiting this long after its dispatch was confirmed has that written down."""
    cache_sagas_max: int = 10_000
    publishes_max: int = 8
    """Publish batches under way at once."""
    trust: Trust = Trust()
    hold_seconds: float = 10.0
    """How long a signal waits for its saga, unacknowledged, before it is parked."""
    held_max: int = 500
    """Signals that may wait so at once; well below `prefetch`, or others would wait behind them."""
    recall_interval_seconds: float = 0.25
    """Between two looks whether their sagas have come."""
    sampling: Sampling = Sampling()
    """Which sagas are traced."""
    drain_seconds: float = 20.0


class FollowSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a process follows the history."""

    batch_max: int = 200
    """Commits handed to a sink at once."""
    interval_seconds: float = 0.25
    """Between two looks when there was nothing more."""
    standby_seconds: float = 2.0
    """Between two looks whether another process gave its cursor up."""
    lease_seconds: float = 20.0
    """A process that died is replaced after this."""
    unreadable_seconds: float = 60.0
    """How long a commit that cannot be decoded is left to a process of a later release."""
    cache_sagas_max: int = 10_000
    """Open sagas kept in memory; others are read again when they move."""


TRACING = FollowSettings(batch_max=500, interval_seconds=1.0)
"""Nobody waits for a span as for a lifecycle event: fewer and longer pages, which cost the store less."""

"""How an orchestrator process behaves: one frozen value."""

import msgspec


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
    gateways: frozenset[str] = frozenset()
    """Broker users whose `saga-actor` header is believed."""
    drain_seconds: float = 20.0

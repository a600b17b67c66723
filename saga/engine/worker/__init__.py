"""The orchestrator's loops: reading, deciding, sending, waking, and stopping in order. Nothing else loops."""

from saga.engine.worker.orchestrator import Orchestrator

__all__ = ["Orchestrator"]

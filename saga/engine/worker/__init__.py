"""The loops of a process: reading, deciding, sending, waking, following, and stopping in order. Nothing else loops."""

from saga.engine.worker.census import Census
from saga.engine.worker.following import Following
from saga.engine.worker.orchestrator import Orchestrator

__all__ = ["Census", "Following", "Orchestrator"]

"""Everything in this process: for tests, simulations, and a first look."""

from saga.adapters.memory.journal import MemoryStore

__all__ = ["MemoryStore"]

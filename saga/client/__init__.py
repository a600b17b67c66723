"""The caller's side: start a saga, hear what becomes of it, cancel it; and look at sagas in the store."""

from saga.client.answers import Ended, Refused, Started
from saga.client.client import Client
from saga.ports import CallerBus

__all__ = ["CallerBus", "Client", "Ended", "Refused", "Started"]

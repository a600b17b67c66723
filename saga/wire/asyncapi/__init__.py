"""The wire contract of given commands and definitions as an AsyncAPI 3.1 document, for people and tools elsewhere.

It is written from the orchestrator's side: it *sends* commands and hears replies, it *receives* starts and controls.
"""

from saga.wire.asyncapi.document import Described, UnknownContract, asyncapi_document, written

__all__ = ["Described", "UnknownContract", "asyncapi_document", "written"]

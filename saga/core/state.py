"""SagaState, and `evolve`."""

import msgspec


class View(msgspec.Struct, frozen=True):
    """A saga as its row shows it."""

    status: str
    wait_kind: str
    wait_text: str
    tags: dict[str, str] = {}

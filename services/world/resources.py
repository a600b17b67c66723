"""The cloud's business, without HTTP: networks, machines in them, addresses that lead there, in append-only books."""

import threading
import time
from collections import Counter, defaultdict
from typing import Any, Literal
from uuid import uuid4

import msgspec

from services.world.behaviour import Behaviour, Settings, behaviour, slowness_seconds
from services.world.books import Books
from services.world.office import Answer, Dropped

Kind = Literal["networks", "machines", "addresses"]
KINDS: tuple[Kind, ...] = ("networks", "machines", "addresses")
LAST: Kind = "addresses"
"""The cloud says only here that a region is full."""


class Wish(msgspec.Struct, frozen=True):
    """What is to be made for a customer; `inside` is the id of what it stands in or leads to."""

    customer: str
    region: str = ""
    inside: str = ""


class Cloud:
    """What the cloud does. Books of an earlier process are gone on with, and so are settings changed in it.

    It honours keys: asked again under one, it answers as it did the first time and makes nothing. What is taken away
    by its key can never be made under it again, also when it was not there yet: a request that was on its way comes to
    nothing.
    """

    def __init__(self, books: Books, settings: Settings) -> None:
        self._books = books
        self._lock = threading.Lock()
        self._busy: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._requests = Counter(line["about"] for line in books.lines("request"))
        self._made = {line["key"]: line for line in books.lines("create")}
        self._gone = {line["key"] for line in (*books.lines("delete"), *books.lines("void"))}
        kept = books.lines("settings")
        self.settings = msgspec.convert(kept[-1]["settings"], Settings) if kept else settings

    def create(self, kind: Kind, key: str, wish: Wish) -> Answer:
        """Make it, or not, as the settings say. Raises Dropped when the caller is to hear nothing."""
        with self._key(key):
            todo = self._todo(f"{wish.customer}/{kind}", wish.region if kind == LAST else "", refuses=kind == LAST)
            if todo is Behaviour.UNAVAILABLE:
                return _away()
            if todo is Behaviour.DROP_BEFORE:
                raise Dropped
            if key in self._gone:
                return Answer(410, {"reason": "this key was taken away"})
            if key not in self._made and todo is Behaviour.REFUSE:
                return Answer(409, {"reason": f"no addresses left in {wish.region}"})
            found = self._made.get(key)
            if found is None:
                fields: dict[str, Any] = {"of": kind, "key": key, "id": f"{kind[:3]}-{uuid4().hex[:12]}"}
                self._made[key] = self._books.write("create", **fields, **msgspec.structs.asdict(wish))
            else:
                self._books.write("again", key=key, customer=wish.customer)
            if todo is Behaviour.DROP_AFTER:
                raise Dropped
            return Answer(201, {"id": self._made[key]["id"]})

    def delete(self, kind: Kind, key: str) -> Answer:
        """Take away what was made under a key. Raises Dropped when the caller is to hear nothing."""
        with self._key(key):
            todo = self._todo(f"{key}/undo", "", refuses=False)
            if todo is Behaviour.UNAVAILABLE:
                return _away()
            if todo is Behaviour.DROP_BEFORE:
                raise Dropped
            found = None if key in self._gone else self._made.get(key)
            if found is not None and (inside := self._inside(found["id"])):
                return Answer(409, {"reason": f"{', '.join(inside)} would be left without {found['id']}"})
            if key not in self._gone:
                about = {} if found is None else {name: found[name] for name in ("of", "id", "customer")}
                self._books.write("void" if found is None else "delete", key=key, **{"of": kind, **about})
                self._gone.add(key)
            if todo is Behaviour.DROP_AFTER:
                raise Dropped
            return Answer(200, {"count": int(found is not None)})

    def change(self, settings: Settings) -> Answer:
        """Behave so from now on, and after a restart."""
        self._books.write("settings", settings=msgspec.to_builtins(settings))
        self.settings = settings
        return Answer(200, msgspec.to_builtins(settings))

    def everything(self) -> Answer:
        """Every line ever written."""
        return Answer(200, {"lines": self._books.lines()})

    def _todo(self, about: str, region: str, *, refuses: bool) -> Behaviour:
        """Count a request, take the time it takes, and say what is done with it."""
        with self._lock:
            count = self._requests[about]
            self._requests[about] += 1
        settings = self.settings if refuses else msgspec.structs.replace(self.settings, refuse_rate=0.0)
        todo = behaviour(settings, order_id=about, country=region[:2].upper(), request_count=count)
        self._books.write("request", about=about, behaviour=todo)
        time.sleep(slowness_seconds(settings, order_id=about, request_count=count))
        return todo

    def _inside(self, made: str) -> list[str]:
        lines = list(self._made.values())
        return [line["id"] for line in lines if line["inside"] == made and line["key"] not in self._gone]

    def _key(self, key: str) -> threading.Lock:
        """One request of a key at a time: what is taken away is not being made meanwhile."""
        with self._lock:
            return self._busy[key]


def _away() -> Answer:
    return Answer(503, {"reason": "the cloud is having a day"})

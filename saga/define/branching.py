"""The verbs of what runs side by side: branches, and the items of a list."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, TypeVar, cast
from uuid import UUID

from saga.core.bounds import MAP_ITEMS_MAX
from saga.core.definition import Block, Branch, Each, Join, OnBranchFailed, Parallel
from saga.core.expression import Expression, ScalarType
from saga.define.blocks import Fork, Scope, Shape
from saga.define.builder import Builder, Verbs
from saga.define.opening import block
from saga.define.placeholder import Placeholder, references, show, value_of
from saga.define.shapes import item_type, scalar_type
from saga.define.structure import Sequences
from saga.define.words import On, placeholder_in

I = TypeVar("I")  # noqa: E741 - item
T = TypeVar("T")

WINDOW_DEFAULT = 10


class Branches:
    """The branches of a parallel block: `with branch("mailbox"): ...`."""

    __slots__ = ("_builder", "_fork", "_paths", "_stray")

    def __init__(self, builder: Builder, fork: Fork, stray: Scope) -> None:
        self._builder, self._fork, self._stray = builder, fork, stray
        self._paths: list[str] = []

    @property
    def _place(self) -> str:
        return self._fork.path

    @block("branch(...)")
    def __call__(self, name: str) -> Iterator[None]:
        """One branch. Its replies are read behind the block."""
        builder, fork = self._builder, self._fork
        path = builder.claim(name)
        self._paths.append(path)
        if builder.scope is not self._stray:
            reason = f"is a branch of '{fork.path}', but stands " + (
                "behind it" if fork.written else "deeper inside it"
            )
            builder.bad(path, reason, f"write it directly inside '{fork.path}'")
        outside = self._stray.parent
        scope = Scope(f"branch '{path}'", outside, fork, outside.prefix if outside else "")
        fork.scopes.append(scope)
        with builder.sequence(fork, scope):
            yield

    def frozen(self, bodies: Sequences) -> tuple[Branch, ...]:
        """The finished branches."""
        return tuple(Branch(path=path, body=body) for path, body in zip(self._paths, bodies, strict=True))


class SideBySide(Verbs):
    """Sequences that run at the same time."""

    __slots__ = ()

    @block("s.parallel(...) as branch")
    def parallel(
        self,
        name: str,
        *,
        join: Literal[On.ALL, On.ANY] = On.ALL,
        on_failed: Literal[On.STOP, On.FINISH] | None = None,
    ) -> Iterator[Branches]:
        """Branches side by side: `with s.parallel("setup") as branch: with branch("mailbox"): ...`.

        `join=On.ALL` goes on when every branch has succeeded. `on_failed` says what a failure does to the others:
        `On.STOP` (the default) ends the block at once, `On.FINISH` lets them come to their end first.
        `join=On.ANY` goes on with the first branch that succeeds, once the others are undone; it fails when all have.
        """
        builder = self._builder
        path = builder.claim(name)
        joined = builder.member(Join, join, f"{path}.join")
        if joined is Join.ANY and on_failed is not None:
            reason = "on_failed= says nothing with join=On.ANY, which fails only when every branch has"
            builder.bad(path, reason, "remove on_failed=")
        failed = builder.member(OnBranchFailed, on_failed or On.STOP, f"{path}.on_failed")

        def made(bodies: Sequences) -> Block:
            return Parallel(path=path, branches=branches.frozen(bodies), join=joined, on_failed=failed)

        fork = Fork(path, Shape.ANY if joined is Join.ANY else Shape.ALL, made)
        stray = Scope("branches", builder.scope, fork, builder.scope.prefix)
        branches = Branches(builder, fork, stray)
        builder.add(fork)
        builder.scope = stray
        try:
            yield branches
        finally:
            builder.scope = stray.parent or builder.root
            fork.written = True
        _check_branches(builder, fork, stray)

    @block("s.each(...) as item")
    def each(
        self,
        name: str,
        items: Sequence[I],
        *,
        limit: int,
        window: int | None = None,
        key: Callable[[I], str | int | Decimal | Enum | UUID] | None = None,
        on_failed: Literal[On.STOP, On.FINISH] = On.STOP,
    ) -> Iterator[I]:
        """Steps for every item of a list, which is recorded when the block is reached; gives the item.

        `limit` (at most 1000) is the longest list, `window` (10) how many items are under way at once. `key` must
        differ from item to item; it is only for people. Replies are read behind the block with `s.collect(...)`.
        """
        builder, values = self._builder, self._builder.values
        path = builder.claim(name)
        kind = value_of(placeholder_in("s.each", items)).type
        if scalar_type(kind) not in (ScalarType.LIST, ScalarType.ANY):
            builder.bad(path, f"{show(items)} is no list", "give it a list of the input or of a reply")
        listed = values.expression(items, Sequence[Any], builder.site(path))
        width = WINDOW_DEFAULT if window is None else window
        if builder.is_count(path, "limit", limit, MAP_ITEMS_MAX):
            width = min(width, limit) if window is None else width
            builder.is_count(path, "window", width, limit)
        failed = builder.member(OnBranchFailed, on_failed, f"{path}.on_failed")
        distinct: list[Expression] = []

        def made(bodies: Sequences) -> Block:
            return Each(
                path=path,
                items=listed,
                limit=limit,
                window=width,
                key=distinct[0] if distinct else None,
                on_failed=failed,
                body=bodies[0],
            )

        with builder.fork(Fork(path, Shape.EACH, made)) as body:
            item = builder.source(path, item_type(kind), body)
            if key is not None:
                distinct.append(_key(builder, path, key(cast("I", item))))
            yield cast("I", item)

    def collect(self, value: T) -> list[T]:
        """One value of every item of an `each` block, in the order of the items; behind the block."""
        inner = placeholder_in("s.collect", value)
        kind: Any = value_of(inner).type
        return cast("list[T]", Placeholder("collect", list[kind], inner))


def _check_branches(builder: Builder, fork: Fork, stray: Scope) -> None:
    for written in stray.blocks:
        reason = f"stands in '{fork.path}', but in none of its branches"
        builder.bad(written.path, reason, "put it into a branch, or in front of the block")
    if len(fork.scopes) < 2:
        count = "one branch" if fork.scopes else "no branch"
        builder.bad(fork.path, f"has {count}: nothing runs side by side", "write two branches, or none")


def _key(builder: Builder, path: str, key: object) -> Expression:
    if not any(source.path == path for source, _, _ in references(key)):
        reason = "its key reads nothing of the item, so it is the same for every item"
        builder.bad(path, reason, "key=lambda seat: seat.email")
    kind = value_of(key).type if isinstance(key, Placeholder) else Any
    if scalar_type(kind) in (ScalarType.OBJECT, ScalarType.LIST):
        builder.bad(path, f"its key {show(key)} is no scalar", "key=lambda seat: seat.email")
    return builder.values.expression(key, kind, builder.site(f"{path}.key"))

"""Deterministic names: idempotency keys, attempt ids, trace and span ids. Two processes always derive the same."""

import hashlib
from functools import lru_cache

from saga.core.messages import Kind

REMEMBERED_MAX = 16_384
"""Keys kept at hand: one is asked for again when its answer is screened and when it is sent again."""


@lru_cache(maxsize=REMEMBERED_MAX)
def idempotency_key(saga: str, path: str, kind: Kind, execution: int) -> str:
    """32 hex characters naming one execution: the same for every attempt (providers cap keys at 36 to 64)."""
    return _digest(saga, f"key\0{path}\0{kind}\0{execution}", 16)


@lru_cache(maxsize=REMEMBERED_MAX)
def attempt_id(key: str, attempt: int) -> str:
    """32 hex characters naming one sending: the command's `message_id`."""
    return _digest(key, f"attempt\0{attempt}", 16)


def span_id(saga: str, version: int, index: int, role: str) -> str:
    """16 hex characters naming the span opened by event `index` of commit `version`."""
    digest = _spans_of(saga).copy()  # a keyed hash begins with a block for its key: once a saga, not once a span
    digest.update(f"span\0{version}\0{index}\0{role}".encode())
    return digest.hexdigest()


def anchor_id(saga: str) -> str:
    """16 hex characters naming the span that the whole saga hangs below: that of the first event."""
    return span_id(saga, 1, 0, "anchor")


def trace_id(root: str) -> str:
    """The root saga's id without dashes: every span of the saga and its children carries it."""
    return root.replace("-", "")


def traceparent(root: str, span: str, *, sampled: bool = True) -> str:
    """W3C header value."""
    return f"00-{trace_id(root)}-{span}-{'01' if sampled else '00'}"


def jitter(key: str, attempt: int) -> float:
    """A fraction in [0, 1) that spreads retries: chance, made from the identity so that a replay draws the same."""
    return int(_digest(key, f"jitter\0{attempt}", 4), 16) / 2**32


@lru_cache(maxsize=REMEMBERED_MAX)
def _spans_of(saga: str) -> hashlib.blake2b:
    return hashlib.blake2b(key=saga.encode()[:64], digest_size=8)


def _digest(scope: str, text: str, size_bytes: int) -> str:
    return hashlib.blake2b(text.encode(), key=scope.encode()[:64], digest_size=size_bytes).hexdigest()

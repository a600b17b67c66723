"""The rules that are tried, each with its place in the wire contract. `docs/reference/wire.md` lists them."""

from typing import Final

import msgspec


class Rule(msgspec.Struct, frozen=True):
    """One sentence of the wire contract."""

    name: str
    place: str
    """Where `docs/reference/wire.md` says it."""
    text: str


HEADERS, LIMITS, OUTCOMES = "Properties and headers", "Limits", "Outcomes"
UNREADABLE, KEY_FIRST, EXPIRY = "Participant 1", "Participant 2", "Participant 3"
RUNNING, UNDOING, SHARING = "Participant 4", "Participant 5", "Participant 7"

RULES: Final = (
    Rule("answers", RUNNING, "a command that can be done is answered `ok`, effect `applied`"),
    # What every reply is looked at for.
    Rule("header-strings", HEADERS, "every `saga-*` header is a UTF-8 string"),
    Rule("user-id", HEADERS, "a reply carries the `user_id` of its participant"),
    Rule("routing-key", HEADERS, "a reply is published under `<service>.<outcome>`, and `saga-outcome` says the same"),
    Rule("echo", HEADERS, "a reply echoes its command's addresses and names the attempt it answers"),
    Rule("trace", HEADERS, "a reply carries the trace of its command"),
    Rule("codes", OUTCOMES, "`saga-code` is there but with `ok`; the codes of `refused` are a closed list"),
    Rule("bodies", OUTCOMES, "`ok` and `failed` have a JSON body and its type, of the participant's own service"),
    Rule("limits", LIMITS, "no reply exceeds a limit of the wire"),
    Rule("readable", HEADERS, "an orchestrator can read every reply"),
    # Keys.
    Rule("same-attempt", KEY_FIRST, "an attempt that is delivered again is answered with the stored bytes, `replayed`"),
    Rule("next-attempt", KEY_FIRST, "a further attempt with the same key is answered the same, `replayed`"),
    Rule("other-bytes", KEY_FIRST, "the same key with other bytes is `refused/key-reused`, and harms nothing"),
    Rule("bytes-as-sent", KEY_FIRST, "bodies are compared as the bytes that were sent, not as what they mean"),
    Rule("other-command", KEY_FIRST, "the same key for another command is `refused/key-reused`"),
    Rule("at-once", KEY_FIRST, "of the same key many times at once one is `applied`; others wait or are `replayed`"),
    Rule("expired-known", KEY_FIRST, "the key is looked up before the expiry: what is known is `replayed`"),
    Rule("expired-unknown", EXPIRY, "an expired command with an unknown key is `refused/expired`"),
    Rule("refused-forgotten", OUTCOMES, "`refused` is never remembered: the key can still be used"),
    Rule("failed", OUTCOMES, "a declared business refusal is `failed`, with its name as code and its body"),
    Rule("failed-remembered", KEY_FIRST, "a `failed` is remembered and answered again like an `ok`"),
    Rule("unknown-command", OUTCOMES, "a command or version the service does not handle is `refused/unknown-command`"),
    # What cannot be read.
    Rule("not-json", UNREADABLE, "a body that is no JSON is parked, and `refused/invalid-payload`"),
    Rule("bad-utf8", UNREADABLE, "a body that is no UTF-8 is parked, and `refused/invalid-payload`"),
    Rule("nul", UNREADABLE, "a body with a NUL byte is parked, and `refused/invalid-payload`"),
    Rule("wrong-shape", OUTCOMES, "JSON that is not what the contract says is `refused/invalid-payload`"),
    Rule("missing-headers", UNREADABLE, "a command that lacks a header is parked, and nothing else happens"),
    Rule("alive", UNREADABLE, "no message keeps the participant from answering the next one"),
    # Undoing.
    Rule("undo", UNDOING, "the compensation of an `ok` is `ok`, effect `applied`"),
    Rule("undo-again", UNDOING, "a compensation asked again is answered with the stored bytes, `replayed`"),
    Rule("undo-first", UNDOING, "a compensation whose action never came is `ok`, effect `none`"),
    Rule("late-action", UNDOING, "an action that comes after its compensation is `refused/cancelled`, always"),
    Rule("undo-forgotten", UNDOING, "the compensation of an `ok` that is not known here is never `ok`, effect `none`"),
    Rule("undo-failed", UNDOING, "the compensation of a `failed` is `ok`, effect `none`"),
    Rule("undo-race", UNDOING, "an action and its compensation at once: done and undone, or never done"),
    # Remembering.
    Rule("restart", SHARING, "what was answered is still known after a restart"),
)

BY_NAME: Final = {rule.name: rule for rule in RULES}
EVERY_REPLY: Final = (
    "header-strings",
    "user-id",
    "routing-key",
    "echo",
    "trace",
    "codes",
    "bodies",
    "limits",
    "readable",
)
"""Rules that are looked at with every reply."""

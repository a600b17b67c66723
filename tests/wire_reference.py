"""The tables of docs/reference/wire.md, written from the code: `python -m tests.wire_reference` puts them in place."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from saga.conform import RULES
from saga.core import topology
from saga.core.limits import BODY_BYTES_MAX, HEADERS_BYTES_MAX
from saga.cost import DIGITS_MAX, PATTERN, UNIT_CHARACTERS_MAX, UNITS_MAX
from saga.participant.declaration import HANDLER_TIMEOUT_MAX
from saga.wire import ERROR_TEXT_BYTES_MAX, JSON_DEPTH_MAX
from saga.wire.headers import HEADERS, INSTANT, KEY, MILLISECONDS, NUMBER, REFUSALS, TRACEPARENT, Header, Message, Need
from saga.wire.screen import KEY_CHARACTERS_MAX, NAME_CHARACTERS_MAX, PATH_CHARACTERS_MAX

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "wire.md"
FORMS = {
    NUMBER: "a number from 1",
    MILLISECONDS: "milliseconds",
    KEY: "32 hex characters",
    TRACEPARENT: "`00-<32 hex>-<16 hex>-<2 hex>`",
    INSTANT: "`2026-05-01T12:00:00Z`",
    PATTERN: "`0.0123 USD, 1520 tokens`",
}
MARKS = {Need.REQUIRED: "yes", Need.OPTIONAL: "may"}
KIB = 1024


def tables() -> dict[str, str]:
    """Each table by the name of its marks in the page."""
    return {
        "exchanges": _table(("exchange", "type", "its queue", "bound under"), _exchanges()),
        "limits": _table(("of", "at most"), _limits()),
        "headers": _table(("header", *Message, "form", "meaning"), map(_header, HEADERS)),
        "refusals": _table(("code", "it says"), ((f"`{code}`", text) for code, text in REFUSALS.items())),
        "rules": _table(("rule", "place", "text"), ((f"`{one.name}`", one.place, one.text) for one in RULES)),
    }


def with_tables(page: str) -> str:
    """The page with its tables as they have to be. Raises AssertionError for a page that lacks the marks of one."""
    for name, table in tables().items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)", re.DOTALL)
        assert pattern.search(page), f"{PAGE} lacks the marks of the table {name}"
        page = pattern.sub(_replacing(table), page)
    return page


def _replacing(table: str) -> Callable[[re.Match[str]], str]:
    """By a function: a table may hold backslashes."""
    return lambda found: f"{found[1]}{table}{found[2]}"


def _exchanges() -> Iterator[tuple[str, ...]]:
    wanted = topology.wanted_topology(["<service>"])
    for exchange in wanted.exchanges:
        bound = [binding for binding in wanted.bindings if binding.exchange == exchange.name]
        queues = ", ".join(f"`{binding.queue}`" for binding in bound) or "its readers' own"
        keys = ", ".join(f"`{binding.routing_key}`" for binding in bound if binding.routing_key)
        yield f"`{exchange.name}`", exchange.type, queues, keys


def _limits() -> Iterator[tuple[str, str]]:
    yield "a body", f"{BODY_BYTES_MAX // KIB} KiB; JSON nested {JSON_DEPTH_MAX} deep"
    yield "all headers of a message together, names and values", f"{HEADERS_BYTES_MAX // KIB} KiB"
    yield "`saga-message`", f"{ERROR_TEXT_BYTES_MAX // KIB} KiB, cut at a character"
    yield "a name: saga, service, command, code", f"{NAME_CHARACTERS_MAX} characters"
    yield "the path of a step", f"{PATH_CHARACTERS_MAX} characters"
    yield "a business key, a caller's `message_id`", f"{KEY_CHARACTERS_MAX} characters"
    unit = f"a letter, then letters, digits, `-` and `_`, {UNIT_CHARACTERS_MAX} in all"
    yield "`saga-cost`", f"{UNITS_MAX} amounts; {DIGITS_MAX} digits before the point and behind it; a unit is {unit}"
    yield "the work on one command", f"{HANDLER_TIMEOUT_MAX.total_seconds() / 60:g} minutes"


def _header(header: Header) -> tuple[str, ...]:
    form = FORMS.get(header.pattern, "")
    if header.words:
        form = " ".join(f"`{word}`" for word in header.words)
    elif header.characters_max and not form:
        form = f"at most {header.characters_max} characters"
    needs = [MARKS[header.on[message]] if message in header.on else "" for message in Message]
    return f"`{header.name}`", *needs, form, header.meaning


def _table(titles: Sequence[str], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))

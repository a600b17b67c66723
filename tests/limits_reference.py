"""The table of docs/reference/limits.md, written from the code: `python -m tests.limits_reference` puts it in place."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec

from saga.contract import VERSION_MAX
from saga.core.bounds import EVENTS_MAX, MAP_ITEMS_MAX, RECORDED_BYTES_MAX, SIGNALS_WAITING_MAX, TURNS_MAX
from saga.core.definition import DEFINITION_BYTES_MAX, DEPTH_MAX, STEPS_MAX, TAGS_MAX
from saga.core.lifecycle import LISTED_MAX
from saga.core.limits import BODY_BYTES_MAX, HEADERS_BYTES_MAX, OUTPUT_BYTES_MAX
from saga.core.nearing import NEAR_PERCENT, NEARING_TAG
from saga.core.rows import INDEXED_BYTES_MAX
from saga.participant.declaration import HANDLER_TIMEOUT_MAX
from saga.settings import Settings
from saga.wire import ERROR_TEXT_BYTES_MAX, JSON_DEPTH_MAX
from saga.wire.screen import KEY_CHARACTERS_MAX, NAME_CHARACTERS_MAX, PATH_CHARACTERS_MAX

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "limits.md"
BEGIN, END = "<!-- limits -->\n", "<!-- /limits -->"

CORE, ENGINE = "tests/unit/core/test_saga_limits.py", "tests/unit/engine/test_limits.py"
WIRE, DEFINE = "tests/unit/wire/test_limits.py", "tests/unit/define/test_limits.py"
LOGGED = f"from {NEAR_PERCENT} %: a log line with the saga's id"


class Limit(msgspec.Struct, frozen=True):
    """One row of the table."""

    of: str
    value: int
    unit: str
    before: str
    at: str
    tests: tuple[str, ...]


def limits() -> Iterator[Limit]:
    """Every limit of a saga and of what is sent, with the tests that stand at its edge."""
    yield from _bodies()
    yield from _messages()
    yield from _sagas()
    yield from _blocks()
    yield from _texts()
    yield from _definitions()


def _bodies() -> Iterator[Limit]:
    yield Limit(
        "the input of a start",
        BODY_BYTES_MAX,
        "bytes",
        LOGGED,
        "the caller hears `too-large`, the message is parked",
        (f"{ENGINE}::test_the_largest_input_starts_a_saga_and_a_larger_one_is_parked",),
    )
    yield Limit(
        "a command",
        BODY_BYTES_MAX,
        "bytes",
        LOGGED,
        "the step parks as `too-large` before anybody is asked",
        (
            f"{CORE}::test_the_largest_command_is_sent_and_a_larger_one_parks",
            f"{CORE}::test_a_large_body_is_said_each_time",
        ),
    )
    yield Limit(
        "an undo",
        BODY_BYTES_MAX,
        "bytes",
        "",
        "the step parks as `evaluation`; what is left to undo waits for it",
        (f"{CORE}::test_the_largest_undo_is_sent_and_a_larger_one_parks",),
    )
    yield Limit(
        "a reply",
        BODY_BYTES_MAX,
        "bytes",
        LOGGED,
        "the participant rolls its work back and answers `refused`, `too-large`; the step parks",
        (
            "tests/conformance/inbox/test_payloads.py::test_the_largest_reply_is_given",
            f"{CORE}::test_a_large_reply_is_said",
            "tests/conformance/inbox/test_payloads.py::test_a_reply_that_is_too_large_rolls_the_effect_back",
        ),
    )


def _messages() -> Iterator[Limit]:
    yield Limit(
        "the output of a saga",
        OUTPUT_BYTES_MAX,
        "bytes",
        "",
        "the saga parks at `output` as `too-large`",
        (f"{CORE}::test_the_largest_output_is_told_and_a_larger_one_parks",),
    )
    yield Limit(
        "JSON in JSON",
        JSON_DEPTH_MAX,
        "levels",
        "",
        "parked as `too-deep`",
        (
            "tests/unit/test_wire.py::test_a_body_that_only_looks_bad_passes",
            "tests/unit/test_wire.py::test_a_body_that_breaks_the_contract_is_refused",
        ),
    )
    yield Limit(
        "all headers of a message, names and values",
        HEADERS_BYTES_MAX,
        "bytes",
        "",
        "parked as `header-too-large`",
        (f"{WIRE}::test_headers_together", "tests/unit/core/test_limits.py::test_what_is_at_the_limit_fits"),
    )


FULL = (
    "the next step, wait, condition or list of items parks as `history-limit`; "
    "replies, signals, undos and what people do are still recorded"
)


def _sagas() -> Iterator[Limit]:
    marked = f"from {NEAR_PERCENT} %: a log line, once, and the tag `{NEARING_TAG}=history` while the saga is open"
    full_tests = (
        f"{CORE}::test_a_step_is_begun_below_the_limit_of_the_history",
        f"{CORE}::test_a_full_history_begins_no_step_and_is_still_undone",
        f"{CORE}::test_a_full_history_begins_nothing_else_either",
        f"{CORE}::test_a_history_that_nears_its_limit_is_said_once_and_marked",
        f"{ENGINE}::test_a_saga_whose_history_nears_its_limit_is_found",
    )
    yield Limit("the events of a saga", EVENTS_MAX, "events", marked, FULL, full_tests)
    data = "the data of a saga: its input, items, signals, commands and replies"
    yield Limit(data, RECORDED_BYTES_MAX, "bytes", marked, FULL, full_tests)
    yield Limit(
        "commands in flight, for each orchestrator (`max_in_flight`)",
        Settings().max_in_flight,
        "commands",
        f"from {NEAR_PERCENT} %: a log line, again only after it was below half",
        "starts wait in their queue",
        (f"{ENGINE}::test_starts_wait_when_as_many_commands_are_open_as_may_be",),
    )
    yield Limit(
        "a tag's value",
        INDEXED_BYTES_MAX,
        "bytes",
        "",
        "kept with its head and a digest; a search for the whole text finds it",
        (
            f"{CORE}::test_a_tag_is_kept_whole_up_to_its_limit",
            "tests/conformance/store/test_lookup.py::test_a_long_tag_is_found_by_its_whole_text",
        ),
    )
    yield Limit(
        "the work on one command",
        HANDLER_TIMEOUT_MAX // timedelta(minutes=1),
        "minutes",
        "",
        "a longer `timeout` is refused when the participant is made",
        ("tests/unit/participant/test_declaration.py::test_a_handler_has_a_quarter_of_an_hour",),
    )


def _blocks() -> Iterator[Limit]:
    yield Limit(
        "the items of an `each` block (its `limit`)",
        MAP_ITEMS_MAX,
        "items",
        "",
        "a greater `limit` is refused at build; more items than the `limit`: the block parks as `items`",
        (f"{DEFINE}::test_items_and_turns", f"{CORE}::test_as_many_items_as_may_be_are_run_over_and_one_more_parks"),
    )
    yield Limit(
        "the turns of a `repeat` block (its `limit`)",
        TURNS_MAX,
        "turns",
        "",
        "a greater `limit` is refused at build; after the last turn the block fails as `limit`",
        (f"{DEFINE}::test_items_and_turns",),
    )
    yield Limit(
        "signals of a saga that nothing waits for yet",
        SIGNALS_WAITING_MAX,
        "signals",
        "",
        "refused as `signal-limit`, and the sender hears it",
        ("tests/unit/core/test_waits.py::test_what_cannot_be_kept_is_refused_with_a_reason",),
    )
    yield Limit(
        "the steps or waits that a lifecycle event lists",
        LISTED_MAX,
        "places",
        "",
        "the new ones are listed first, the rest is counted as `more`",
        ("tests/unit/core/test_lifecycle.py::test_a_list_that_fits_is_whole_and_in_its_order",),
    )


def _texts() -> Iterator[Limit]:
    bad = "the message is parked as `bad-header`"
    told = f"{bad}, and a caller hears it"
    yield Limit(
        "a name: saga, service, command, step, failure",
        NAME_CHARACTERS_MAX,
        "characters",
        "",
        f"refused at build or import; on the wire {told}",
        (f"{DEFINE}::test_names", f"{DEFINE}::test_names_of_services_and_commands", f"{WIRE}::test_names"),
    )
    yield Limit("the path of a step", PATH_CHARACTERS_MAX, "characters", "", bad, (f"{WIRE}::test_paths",))
    yield Limit(
        "a business key, a caller's `message_id`",
        KEY_CHARACTERS_MAX,
        "characters",
        "",
        f"{told}; a key from the input: `invalid-payload`",
        (
            f"{WIRE}::test_keys",
            f"{WIRE}::test_the_key_of_a_cancel",
            "tests/unit/engine/test_starts.py::test_a_start_that_cannot_run_is_refused_and_kept",
        ),
    )
    yield Limit(
        "an error text",
        ERROR_TEXT_BYTES_MAX,
        "bytes",
        "",
        "cut at a character; the code is never lost",
        (f"{WIRE}::test_error_texts",),
    )


def _definitions() -> Iterator[Limit]:
    for of, value, unit, test in (
        ("a definition in its canonical form", DEFINITION_BYTES_MAX, "bytes", "test_size"),
        ("the steps of a definition", STEPS_MAX, "steps", "test_steps"),
        ("blocks in blocks, the saga itself counted", DEPTH_MAX, "levels", "test_depth"),
        ("the tags of a definition", TAGS_MAX, "tags", "test_tags"),
        ("the version of a definition or command", VERSION_MAX, "", "test_versions"),
    ):
        yield Limit(of, value, unit, "", "refused when it is built", (f"{DEFINE}::{test}",))


def with_table(page: str) -> str:
    """The page with its table as it has to be. Raises AssertionError for a page that lacks its marks."""
    assert BEGIN in page, f"{PAGE} lacks {BEGIN}"
    assert END in page, f"{PAGE} lacks {END}"
    lines = ["| of | at most | before it | beyond it |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {each.of} | {f'{each.value:,} {each.unit}'.rstrip()} | {each.before} | {each.at} |" for each in limits()
    ]
    return page.partition(BEGIN)[0] + BEGIN + "\n".join(lines) + "\n" + END + page.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))

"""What a terminal gets, and what a file gets."""

import io

import pytest

from saga.demo.screen import Screen


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_file_gets_plain_lines_and_the_last_of_those_below() -> None:
    """No control character; what changes in place is written once, when it has settled."""
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding="utf-8", write_through=True)
    screen = Screen(stream, {})
    screen.below(["charge →"])
    screen.say("one", "good")
    screen.below(["charge ✓"])
    screen.settle()
    assert raw.getvalue().decode() == "one\ncharge ✓\n"


def test_a_terminal_has_lines_that_change_in_place() -> None:
    """Before each line that stays, those below are wiped; after it they are drawn again."""
    stream = Terminal()
    screen = Screen(stream, {"NO_COLOR": "1"})
    screen.below(["a", "b"])
    screen.say("stays")
    assert stream.getvalue() == "a\nb\n\x1b[2A\x1b[0Jstays\na\nb\n"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_is_left_out_where_it_is_not_wanted(environment: dict[str, str]) -> None:
    """NO_COLOR and dumb terminals are heard."""
    stream = Terminal()
    Screen(stream, environment).say("text", "good")
    assert stream.getvalue() == "text\n"


def test_colour_is_used_on_a_terminal() -> None:
    """And reset at the end of the line."""
    stream = Terminal()
    Screen(stream, {}).say("text", "good")
    assert stream.getvalue() == "\x1b[32mtext\x1b[0m\n"


def test_a_stream_without_the_marks_gets_ascii() -> None:
    """Nothing is lost to an encoding error."""
    stream = io.TextIOWrapper(raw := io.BytesIO(), encoding="ascii", write_through=True)
    Screen(stream, {}).say("── ✓ charge … ö")
    assert raw.getvalue() == b"-- + charge ~ ?\n"

"""What the catalogue says of each code."""

import msgspec

from saga.core.codes.exits import Exit


class Code(msgspec.Struct, frozen=True):
    """One entry of the catalogue."""

    number: str
    """`SAGA-` and four digits, the first of them its family."""
    title: str
    why: str
    """What leads to it."""
    fix: str
    """What to do, where the error itself does not say it better."""
    exit_code: Exit = Exit.FAILED
    word: str = ""
    """As the wire, the histories and the parked messages spell it."""

    @property
    def page(self) -> str:
        """Where its page is, below the root of the repository."""
        return f"docs/reference/errors/{self.number}.md"


def worded(number: int, word: str, title: str, *, why: str, fix: str, exit_code: Exit = Exit.CONFLICT) -> Code:
    """An entry that the wire, the histories and the parked messages spell as a word."""
    return Code(f"SAGA-{number}", title, why, fix, exit_code, word)

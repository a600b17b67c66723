"""The two exceptions of the simulator: a law was broken, and a process dies here."""


class Violation(Exception):
    """An invariant does not hold; `law` is its id in the failure rules or a word."""

    def __init__(self, law: str, text: str) -> None:
        self.law = law
        self.text = text
        super().__init__(f"{law}: {text}")


class Crash(Exception):
    """The process that runs this dies now: nothing of it is left but what others hold."""

"""The reference of log lines, written from the calls that write them: `python -m tests.log_reference`.

A message is a constant: what it is about stands in its fields. Each has a sentence here.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "logs.md"
BEGIN, END = "<!-- from the code -->", "<!-- /from the code -->"
MARKED = re.compile(rf"{BEGIN}\n.*?{END}\n", re.DOTALL)
LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}

MEANINGS = {
    "a batch could not be handled": "A defect: the work that no batch can hold is found by halving, and parked.",
    "a check failed": "The `check` of a command raised; the command is tried again.",
    "a command could not be handled": "What is put around its handler raised; the command is tried again.",
    "a command is refused": "A participant answers `refused`: nothing is settled by it.",
    "a command is to be tried again": "A participant answers `retry`: the handler failed, or asked for it.",
    "a command reached no queue": "The attempt waits; it is sent again when the queue is there.",
    "a commit cannot be decoded and is passed over": "A later release wrote it, or it is damaged; nobody took over.",
    "a commit's outcome is unknown, asking again": "The connection was lost in a commit; the same batch is safe.",
    "a cursor was not given up": "Another process follows when the lease has ended.",
    "a delivery could not be read": "A defect in reading a message; it is not acknowledged.",
    "a handler failed": "It raised what is no answer; the command is tried again.",
    "a handler took too long": "Longer than its participant allows; the command is tried again.",
    "a lease was lost": "Another process took the command over meanwhile; the inbox decides what is answered.",
    "a lease was not moved": "It ends by itself.",
    "a lifecycle event can never be sent": "It is larger than a message may be. It is left out; the others go on.",
    "a parked message is lost but for this line": "The store refuses even its bare body. It stands in this line.",
    "a publish failed; alarms will send again": "A defect in publishing; nothing is lost.",
    "a saga cannot be read": "Its history cannot be decoded here; messages for it are parked.",
    "a saga cannot be traced": "Its spans are left out; the others go on.",
    "a saga could not be decided on": "A defect; the message is parked and the saga stays as it is.",
    "a saga nears a limit": "80 % of it; at the limit the step parks.",
    "a saga's lifecycle events cannot be told": "They are left out; the others go on.",
    "acknowledgements lost; the deliveries come again": "The connection was lost; duplicates are absorbed.",
    "alarms could not be set anew": "Their lease runs out and they are looked at again.",
    "an answer could not be remembered": "The commit of an effect failed; the command is tried again.",
    "an answer to a parent is sent again later": "Of a sub-saga that has ended.",
    "answers have another reader": "Two clients of one name take each other's answers, or one has just died.",
    "cannot declare the queue for answers": "The client tries again.",
    "cannot follow; trying again": "A follower of the history is held up; nothing is left out.",
    "cannot hear": "The client cannot read its answers now, and tries again.",
    "cannot read": "A queue is missing, or the broker is away.",
    "close failed": "The connection was gone already.",
    "commands are given back unanswered": "Their work was cut, or ended in a way that has no answer; they come again.",
    "commands that shared a transaction are answered one by one": "One of them could not be remembered with them.",
    "connection lost": "To the broker; it is opened again.",
    "connection restored": "To the broker.",
    "consume failed": "A defect; it is tried again.",
    "consumer lost": "The queue was deleted or moved; it is consumed again.",
    "consumer restored": "After it was lost.",
    "drained only in part; handlers were cut": "They took too long to end; their commands are delivered again.",
    "drained only in part; what is left is done by the others, or after the next start": "It took too long to end.",
    "everything is delivered again": "The store is another than the one the cursor was of.",
    "follower started": "`saga follow` works.",
    "follower stopped": "After a stop.",
    "follows again": "After it was held up.",
    "follows here": "This process has the cursor.",
    "live spans are dropped: the tracing backend is away": "The oldest; they have no history to come again from.",
    "message parked": "It cannot be used, and is kept with the reason: `saga parked list`.",
    "metrics are sent again": "After the backend did not take them; nothing is missing.",
    "metrics cannot be sent": "A defect; it is tried again.",
    "metrics cannot be sent now": "The backend is away, full or takes no metrics; the next sending says it all.",
    "no orchestrator will believe the replies": "The broker user is not named like the service.",
    "no publish channel": "It is opened again.",
    "not an answer": "The client heard what it cannot read.",
    "old rows were not forgotten": "Of the inbox; it is tried again in ten minutes.",
    "opentelemetry-instrumentation-aio-pika is active: messages are shown twice. "
    "Fix: OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=aio_pika": "Once a process.",
    "orchestrator drained": "After a stop: what was taken is done.",
    "orchestrator started": "`saga run` works.",
    "participant drained": "After a stop: what was taken is answered.",
    "participant started": "`saga serve` works.",
    "probe failed": "Whether a queue is there could not be asked.",
    "publish channel stalled": "No confirm came; another channel is opened.",
    "reconnect failed": "It is tried again; an error is a defect.",
    "settling is slow": "The broker takes acknowledgements slowly.",
    "stands by: another process follows": "One at a time does.",
    "spans could not be written": "A defect: the batch is lost, and the next one follows.",
    "starts will wait in their queue": "As many commands are open as may be, nearly.",
    "stop failed": "Of a consumer that was gone already.",
    "takes nothing for a while": "A participant's database or the broker is away.",
    "the backend calls spans malformed; they are dropped": "It answered 400, 413 or 422.",
    "the backend did not take all spans": "It said so; they are not sent again.",
    "the cost of a reply cannot be read": "The reply counts, its cost does not: the header has another form.",
    "the facts of the store cannot be read now": "For metrics; it is tried again, and nothing waits for it.",
    "the store cannot be used; nothing is decided": "It is away, or its tables are of another release.",
    "the store cannot be used; waiting": "The same, at the start.",
    "the store refuses a parked message; keeping its body": "Without headers.",
    "the store refuses what a saga came to; it stays as it is": "The message that led to it is parked.",
    "waiting": "At its start a process waits for the broker, the store or its database.",
}


def pages() -> dict[Path, str]:
    """The page as it has to be, with its hand-written text as it is. Raises AssertionError for a message without a
    meaning, and for a meaning without its message."""
    found = written()
    unexplained, gone = found.keys() - MEANINGS.keys(), MEANINGS.keys() - found.keys()
    assert not unexplained, f"add to MEANINGS in {__name__}: {sorted(unexplained)}"
    assert not gone, f"nobody writes any more: {sorted(gone)}"
    rows = [
        f"| {message} | {', '.join(sorted(levels))} | {', '.join(f'`{name}`' for name in sorted(loggers))} | "
        f"{MEANINGS[message]} |"
        for message, (levels, loggers) in sorted(found.items())
    ]
    table = "\n".join(["| message | level | logger | when |", "| --- | --- | --- | --- |", *rows])
    page = PAGE.read_text()
    assert MARKED.search(page), f"{PAGE} lacks the marks {BEGIN} … {END}"
    return {PAGE: MARKED.sub(lambda _: f"{BEGIN}\n{table}\n{END}\n", page, count=1)}


def written() -> dict[str, tuple[set[str], set[str]]]:
    """Each message with its levels and its loggers."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for path in sorted((ROOT / "saga").rglob("*.py")):
        tree = ast.parse(path.read_text())
        names = {name for call in ast.walk(tree) if (name := _logger(call))}
        for call, level in _calls(tree):
            place = f"{path.relative_to(ROOT)}:{call.lineno}"
            assert len(names) == 1, f"{place}: one module, one logger"
            for message in _constants(call.args[0], place):
                levels, loggers = found.setdefault(message, (set(), set()))
                levels.add(level)
                loggers.update(names)
    return found


def _calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            of = node.func.value
            if (isinstance(of, ast.Name) and of.id == "log") or _logger(of):
                yield node, LEVELS[node.func.attr]


def _logger(node: ast.AST) -> str:
    """The name in `logging.getLogger("saga.engine")`; empty for all else, other libraries' loggers among it."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "logging.getLogger" and node.args:
        name = node.args[0]
        if isinstance(name, ast.Constant) and str(name.value).partition(".")[0] == "saga":
            return str(name.value)
    return ""


def _constants(message: ast.expr, place: str) -> Iterator[str]:
    if isinstance(message, ast.IfExp):
        yield from _constants(message.body, place)
        yield from _constants(message.orelse, place)
    else:
        assert isinstance(message, ast.Constant), f"{place}: a message is a constant; the rest are fields"
        yield str(message.value)


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)

"""A failed run for people: the one line that repeats it, every history, and the book of effects."""

from datetime import datetime

from saga.core import events as e
from saga.core import inputs as i
from tests.simulation.hunt import Found
from tests.simulation.store import Commit, Row
from tests.simulation.world import EPOCH, World


def replay_line(found: Found) -> str:
    """What to type to see it again."""
    return f"python -m tests.simulation --seed {found.seed} --runs 1    # {found.law}: {found.text}"


def tell(world: World) -> str:
    """Histories and ledger of a world, in order."""
    lines = [
        f"regime {world.drawn.regime}, healed after {world.drawn.heal_after_seconds:.0f}s, ended at {world.now:.1f}s"
    ]
    for row in world.store.rows.values():
        lines += ["", *_history(row)]
    lines += ["", "effects, from the participants' own book"]
    lines += [f"  {when:12.3f}s  {what:6} {path:6} {key[:12]}" for when, what, path, key in world.ledger.lines]
    return "\n".join(lines)


def _history(row: Row) -> list[str]:
    lines = [f"saga {row.saga}  key {row.start_key}  definition {row.plan.definition.name}  {row.state.phase}"]
    lines += [f"  {_shape(row)}"]
    for commit in row.commits:
        lines.append(f"  {commit.version:4} {_seconds(commit.at):12.3f}s {commit.node}: {_cause(commit)}")
        lines += [f"         {_event(event)}" for event in commit.events]
    return lines


def _shape(row: Row) -> str:
    parts = []
    for path, step in row.plan.steps.items():
        undo = f" undo {step.undo.effect}" if step.undo is not None else ""
        parts.append(f"{path}={step.kind}/{step.command.effect}@{step.command.service}{undo} {step.on_undo_failed}")
    return "; ".join(parts)


def _cause(commit: Commit) -> str:
    given = commit.given
    match given:
        case i.Reply(message=message):
            said = f"{message.outcome}{'/' + message.code if message.code else ''}"
            return f"reply {message.path} {message.kind} x{message.execution}.{message.attempt} {said} {message.effect}"
        case i.Resolve():
            return f"operator says {given.verdict} of {given.path}"
        case _:
            return type(given).__name__.lower()


def _event(event: e.AnyEvent) -> str:
    shown = []
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if name in {"at", "definition", "input", "body", "reply"} or value in (None, "", {}, 0):
            continue
        shown.append(f"{name}={f'{_seconds(value):.3f}s' if isinstance(value, datetime) else value}")
    return f"{type(event).__name__} {' '.join(shown)}"


def _seconds(moment: datetime) -> float:
    return (moment - EPOCH).total_seconds()

"""What can be seen only when a definition is complete: limits, and failures that nobody raises."""

from saga.core.blocks import (
    DEADLINE,
    EXHAUSTED,
    EXPIRED,
    LIMIT,
    REJECTED,
    Approval,
    Attempt,
    Await,
    Block,
    OnLate,
    OnSilence,
    Repeat,
    Step,
    When,
    Within,
    children,
    steps_of,
)
from saga.core.definition import DEFINITION_BYTES_MAX, STEPS_MAX, TAGS_MAX, Definition, canonical
from saga.core.errors import Problem


def problems_of(definition: Definition) -> list[Problem]:
    """Everything wrong with a finished tree."""
    found = list(_unraised(definition.blocks))
    count = sum(1 for _ in steps_of(definition.blocks))
    if not definition.blocks:
        found.append(Problem(definition.name, "has no step", "write s.step(...), s.read(...) or s.pivot(...)"))
    if count > STEPS_MAX:
        found.append(Problem(definition.name, f"has {count} steps, more than {STEPS_MAX}", "split the saga"))
    if len(definition.tags) > TAGS_MAX:
        found.append(Problem("tag", f"{len(definition.tags)} tags, more than {TAGS_MAX}", "keep what people search by"))
    size_bytes = len(canonical(definition))
    if size_bytes > DEFINITION_BYTES_MAX:
        reason = f"is {size_bytes} bytes, more than {DEFINITION_BYTES_MAX}"
        found.append(Problem(definition.name, reason, "split the saga, or move constants into a participant"))
    return found


def raised(blocks: tuple[Block, ...]) -> set[str]:
    """The reasons for which one of these blocks may fail."""
    found: set[str] = set()
    for block in blocks:
        match block:
            case Step():
                found.update(block.command.failures)
                if block.within is not None or block.retry.attempts is not None:
                    found.add(EXHAUSTED)
            case When():
                found |= raised(block.then) | raised(block.otherwise)
            case Attempt():
                found |= (raised(block.body) - set(block.on)) | raised(block.otherwise)
            case _:
                found |= raised_here(block)
                for inner in children(block):
                    found |= raised(inner)
    return found


def raised_here(block: Block) -> set[str]:
    """The reasons for which a block itself may fail, whatever is in it."""
    match block:
        case Within():
            return {DEADLINE}
        case Repeat():
            return {LIMIT}
        case Await() if block.within is not None and block.on_late is OnLate.FAIL:
            return {DEADLINE}
        case Approval() if block.expires is not None and block.on_silence is OnSilence.COMPENSATE:
            return {REJECTED, EXPIRED}
        case Approval():
            return {REJECTED}
        case _:
            return set()


def _unraised(blocks: tuple[Block, ...]) -> list[Problem]:
    found: list[Problem] = []
    for block in blocks:
        match block:
            case Attempt():
                possible = raised(block.body)
                for reason in block.on:
                    if block.body and reason not in possible:
                        known = ", ".join(sorted(possible)) or "nothing"
                        text = f"on names {reason}, which no step inside can raise (they raise {known})"
                        found.append(Problem(block.path, text, f"remove {reason} from on="))
                found += _unraised(block.body) + _unraised(block.otherwise)
            case _:
                for inner in children(block):
                    found += _unraised(inner)
    return found

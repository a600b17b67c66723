"""Draws a definition as a Mermaid flowchart, with the compensation of each step."""

from saga.core.blocks import (
    Approval,
    Attempt,
    Await,
    Block,
    Each,
    Join,
    Parallel,
    Repeat,
    Sleep,
    Step,
    StepKind,
    When,
    Within,
)
from saga.core.children import SERVICE
from saga.core.definition import Definition
from saga.define.in_words import duration_text, kind_of, sleep_text

_SHAPES = {
    StepKind.COMPENSATABLE: ("[", "]"),
    StepKind.READ: ("[/", "/]"),
    StepKind.PIVOT: ("{{", "}}"),
    StepKind.RETRYABLE: ("([", "])"),
}
_CHILD = ("[[", "]]")
Ends = list[tuple[str, str]]
"""Where the next block is entered from: node and label of the edge."""


def mermaid(definition: Definition) -> str:
    """The flowchart: full edges go forward, dotted ones lead to what undoes a step."""
    drawn, ends = _sequence(definition.blocks, [("start", "")])
    start = f'  start(["{definition.name} v{definition.version}"])'
    lines = ["flowchart TD", start, *drawn, '  done(["completed"])', *_edges(ends, "done")]
    return "\n".join(lines) + "\n"


def _sequence(blocks: tuple[Block, ...], ends: Ends) -> tuple[list[str], Ends]:
    lines: list[str] = []
    for block in blocks:
        drawn, ends = _block(block, ends)
        lines += drawn
    return lines, ends


def _block(block: Block, ends: Ends) -> tuple[list[str], Ends]:
    node = _node(block.path)
    match block:
        case Step():
            return _step(block, ends)
        case When():
            then, after_then = _sequence(block.then, [(node, "yes")])
            otherwise, after_otherwise = _sequence(block.otherwise, [(node, "no")])
            lines = [f'  {node}{{"{block.path}?"}}', *_edges(ends, node), *then, *otherwise]
            return lines, [*after_then, *after_otherwise]
        case Attempt():
            body, after_body = _sequence(block.body, ends)
            otherwise, after_otherwise = _sequence(block.otherwise, [(node, f"undone: {', '.join(block.on)}")])
            return [*_box(node, block.path, body), *otherwise], [*after_body, *after_otherwise]
        case Sleep() | Await() | Approval():
            return [f'  {node}(("{block.path}<br/>{_wait(block)}"))', *_edges(ends, node)], [(node, "")]
        case Parallel():
            return _branches(block, ends)
        case Each() | Within() | Repeat():
            body, after = _sequence(block.body, ends)
            turns = [(end, "next turn") for end, _ in after] if isinstance(block, Repeat) else []
            boxed = _box(node, f"{block.path}: {_title(block)}", body)
            return [*boxed, *_edges(turns, _first(block.body))], after


def _branches(block: Parallel, ends: Ends) -> tuple[list[str], Ends]:
    lines, after = list[str](), Ends()
    for branch in block.branches:
        body, leaves = _sequence(branch.body, ends)
        lines += _box(_node(branch.path), branch.path, body)
        after += leaves
    how = "the first of" if block.join is Join.ANY else "all of"
    return _box(_node(block.path), f"{block.path}: {how}", lines), after


def _box(node: str, title: str, lines: list[str]) -> list[str]:
    return [f'  subgraph {node}["{title}"]', *(f"  {line}" for line in lines), "  end"]


def _first(blocks: tuple[Block, ...]) -> str:
    """The node at which a sequence begins; a box is none that an edge from inside may lead to."""
    match blocks[0]:
        case Attempt() | Each() | Within() | Repeat() as block:
            return _first(block.body)
        case Parallel() as block:
            return _first(block.branches[0].body)
        case block:
            return _node(block.path)


def _title(block: Each | Within | Repeat) -> str:
    match block:
        case Each():
            return f"every item, {block.window} at a time"
        case Within():
            return f"within {duration_text(block.time)}"
        case Repeat():
            return f"at most {block.limit} turns"


def _wait(block: Sleep | Await | Approval) -> str:
    """What it waits for, in a word or two."""
    match block:
        case Sleep():
            return sleep_text(block)
        case Await():
            return f"signal {block.signal}"
        case Approval():
            return f"{kind_of(block)}: {', '.join(block.roles)}"


def _step(step: Step, ends: Ends) -> tuple[list[str], Ends]:
    node = _node(step.path)
    opening, closing = _CHILD if step.command.service == SERVICE else _SHAPES[step.kind]
    lines = [f'  {node}{opening}"{step.path}<br/>{step.command.type_name}"{closing}', *_edges(ends, node)]
    if step.undo is not None:
        lines += [f'  {node}_undo["{step.undo.type_name}"]', f"  {node} -. undo .-> {node}_undo"]
    return lines, [(node, "")]


def _edges(ends: Ends, node: str) -> list[str]:
    return [f'  {end} -->|"{label}"| {node}' if label else f"  {end} --> {node}" for end, label in ends]


def _node(path: str) -> str:
    """A name of its own for each path. Mermaid reads words like `end`, and dashes, as its own; `_undo` is no path's."""
    return "n_" + path.replace("_", "__").replace("-", "_d_").replace("/", "_s_")

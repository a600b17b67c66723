"""Draws a definition as a Mermaid flowchart, with the compensation of each step."""

from saga.core.blocks import (
    Approval,
    Attempt,
    Await,
    Block,
    Each,
    Parallel,
    Repeat,
    Sleep,
    Step,
    StepKind,
    When,
    Within,
    children,
)
from saga.core.definition import Definition

_SHAPES = {
    StepKind.COMPENSATABLE: ("[", "]"),
    StepKind.READ: ("[/", "/]"),
    StepKind.PIVOT: ("{{", "}}"),
    StepKind.RETRYABLE: ("([", "])"),
}
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
    match block:
        case Step():
            return _step(block, ends)
        case When():
            node = _node(block.path)
            then, after_then = _sequence(block.then, [(node, "yes")])
            otherwise, after_otherwise = _sequence(block.otherwise, [(node, "no")])
            lines = [f'  {node}{{"{block.path}?"}}', *_edges(ends, node), *then, *otherwise]
            return lines, [*after_then, *after_otherwise]
        case Attempt():
            node = _node(block.path)
            body, after_body = _sequence(block.body, ends)
            inside = [f'  subgraph {node}["{block.path}"]', *(f"  {line}" for line in body), "  end"]
            otherwise, after_otherwise = _sequence(block.otherwise, [(node, f"undone: {', '.join(block.on)}")])
            return [*inside, *otherwise], [*after_body, *after_otherwise]
        case Sleep() | Await() | Approval():
            node = _node(block.path)
            return [f'  {node}(("{block.path}"))', *_edges(ends, node)], [(node, "")]
        case Parallel() | Each() | Repeat() | Within():
            node, after = _node(block.path), Ends()
            lines = [f'  subgraph {node}["{block.path}"]']
            for sequence in children(block):
                drawn, leaves = _sequence(sequence, ends)
                lines += (f"  {line}" for line in drawn)
                after += leaves
            return [*lines, "  end"], after


def _step(step: Step, ends: Ends) -> tuple[list[str], Ends]:
    node = _node(step.path)
    opening, closing = _SHAPES[step.kind]
    lines = [f'  {node}{opening}"{step.path}<br/>{step.command.type_name}"{closing}', *_edges(ends, node)]
    if step.undo is not None:
        lines += [f'  {node}_undo["{step.undo.type_name}"]', f"  {node} -. undo .-> {node}_undo"]
    return lines, [(node, "")]


def _edges(ends: Ends, node: str) -> list[str]:
    return [f'  {end} -->|"{label}"| {node}' if label else f"  {end} --> {node}" for end, label in ends]


def _node(path: str) -> str:
    """Mermaid reads words like `end`, and dashes, as its own."""
    return "n_" + path.replace("-", "_d_").replace("/", "_s_")

"""The flowchart shows the way forward, the choices, and what undoes each step."""

from saga.define import mermaid
from tests.typing.orders import order


def test_every_step_has_its_edges_and_its_compensation() -> None:
    """Forward full, undo dotted, an attempt as a box left for the reasons it reacts to."""
    lines = [line.strip() for line in mermaid(order.compiled).splitlines()]
    assert lines[0] == "flowchart TD"
    for expected in (
        "start --> n_reserve",
        "n_reserve -. undo .-> n_reserve_undo",
        'subgraph n_pay["pay"]',
        'n_pay -->|"undone: CardDeclined, exhausted"| n_invoice',
        'n_gift -->|"yes"| n_wrap',
        'n_gift -->|"no"| n_quote',
        'n_book{{"book<br/>shipping.BookCourier.v1"}}',
        "n_confirm --> done",
    ):
        assert expected in lines, expected
    assert lines.count("end") == 1


def test_nodes_are_defined_once() -> None:
    """Mermaid would merge two nodes of one name."""
    lines = [line.strip() for line in mermaid(order.compiled).splitlines()]
    defined = [line.split("[")[0].split("{")[0].split("(")[0] for line in lines if "<br/>" in line]
    assert len(defined) == len(set(defined)) == 7

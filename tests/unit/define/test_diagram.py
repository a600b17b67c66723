"""The flowchart shows the way forward, the choices, and what undoes each step."""

from datetime import timedelta

from saga import Saga, define, present
from saga.define import mermaid
from tests.typing.onboarding import AddSeat, Draft, NewCustomer, RemoveSeat, group, onboarding
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


def test_every_block_says_what_it_does() -> None:
    """Boxes for what runs side by side, again, for every item or against a clock; circles for waits."""
    lines = [line.strip() for line in mermaid(onboarding.compiled).splitlines()]
    for expected in (
        'subgraph n_setup["setup: within 8 h"]',
        'subgraph n_both["both: all of"]',
        'subgraph n_machines["machines"]',
        'subgraph n_region["region: the first of"]',
        'subgraph n_seats["seats: every item, 10 at a time"]',
        'subgraph n_writing["writing: at most 5 turns"]',
        'n_writing_s_draft -->|"next turn"| n_writing_s_draft',
        'n_cool_d_off(("cool-off<br/>sleeps for input.trial"))',
        'n_payment(("payment<br/>signal paid"))',
        'n_review(("review<br/>approval: editor"))',
        "n_access --> n_provision_d_near",
        "n_access --> n_provision_d_far",
        "n_access --> n_seats_s_add",
        "n_provision_d_near --> n_writing_s_draft",
        "n_seats_s_add --> n_writing_s_draft",
        "n_review --> n_send",
        'n_archive[["archive<br/>saga.account.v2"]]',
    ):
        assert expected in lines, expected
    boxes = sum(line.startswith("subgraph") for line in lines)
    assert lines.count("end") == boxes == 9


def test_a_child_is_a_box_with_double_sides() -> None:
    """Another diagram stands behind it."""
    lines = [line.strip() for line in mermaid(group.compiled).splitlines()]
    assert 'n_onboard[["onboard<br/>saga.onboarding.v1"]]' in lines
    assert not [line for line in lines if "undo" in line]


def test_no_edge_leads_into_the_box_it_comes_from() -> None:
    """A loop goes back to the first node of its turn, however deep that stands."""

    def written(s: Saga, new: NewCustomer) -> None:
        with s.repeat("again", limit=3) as turn:
            with s.within("soon", timedelta(hours=1)), s.parallel("both") as branch:
                with branch("left"):
                    draft = s.read("draft", Draft(name=new.name))
                with branch("right"):
                    s.sleep("rest", timedelta(minutes=90))
            turn.until(draft.good)

    lines = [line.strip() for line in mermaid(define("t", version=1)(written).compiled).splitlines()]
    assert 'n_again_s_rest -->|"next turn"| n_again_s_draft' in lines
    assert 'n_again_s_rest(("again/rest<br/>sleeps for 90 min"))' in lines


def test_no_two_paths_share_a_node() -> None:
    """Neither with dashes and underscores, nor with the node of what undoes another step."""
    names = ("a-b", "a_d_b", "a_b", "charge", "charge_undo", "charge-undo", "x_", "x-")

    def written(s: Saga, new: NewCustomer) -> None:
        for name in names:
            s.step(name, AddSeat(email=new.name), undo=RemoveSeat(email=new.name))
        with s.repeat("a", limit=2) as turn:
            s.step("b", AddSeat(email=new.name), undo=RemoveSeat(email=new.name))
            turn.until(present(new.name))

    lines = [line.strip() for line in mermaid(define("t", version=1)(written).compiled).splitlines()]
    defined = [line.split("[")[0] for line in lines if '["' in line and not line.startswith(("start", "done"))]
    assert len(defined) == len(set(defined)) == 2 * len(names) + 3

"""`saga contracts` and `saga conform` before any server is asked."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Type

MODULE = '''
import msgspec
from saga import Command, Effect, command


class Paid(msgspec.Struct, frozen=True):
    """Done."""


@command(service="till", effect=Effect.INBOX)
class Pay(Command[Paid], frozen=True):
    """Pay."""

    amount: int
'''
CONFORM = ("conform", "till.Pay.v1", "--body", "{}")


def test_the_document_of_a_module(saga: Type, tmp_path: Path) -> None:
    """Printed, written, and checked: what was written is fresh, and stale after the contract changed."""
    (tmp_path / "till_contract.py").write_text(MODULE)
    printed = saga("contracts", "asyncapi", "till_contract").json()
    assert printed["asyncapi"] == "3.1.0"
    assert "till.Pay.v1" in printed["operations"]
    assert saga("contracts", "asyncapi", "till_contract", "--write", "a.json").code == 0
    assert saga("contracts", "asyncapi", "till_contract", "--check", "a.json").code == 0
    stale = saga("contracts", "asyncapi", "till_contract", "--title", "Till", "--check", "a.json")
    assert stale.code == 1
    assert "a.json is stale" in stale.err
    assert "fix: saga contracts asyncapi till_contract --title Till --write a.json" in " ".join(stale.err.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["contracts", "asyncapi", "json"], "SAGA-2006 json: no command in there"),
        (["contracts", "asyncapi", "nowhere_at_all"], "nowhere_at_all"),
        (["conform", "till", "--body", "{}"], "fix: <service>.<Command>.v<N>"),
        (["conform", "till.Pay.v1", "--body", "{"], "the body: the body is no JSON"),
        (["conform", "till.Pay.v1", "--body", "@missing.json"], "@missing.json: No such file or directory"),
        ([*CONFORM, "--undo", "till.Refund.v1"], "SAGA-6001 an undo is a command and a body"),
        ([*CONFORM, "--undo", "shop.Refund.v1", "--undo-body", "{}"], "undoes it itself"),
    ],
)
def test_what_went_wrong_and_what_to_do(saga: Type, arguments: list[str], said: str) -> None:
    """One message with reason and fix, exit code 2, and no broker was asked."""
    done = saga(*arguments)
    assert done.code == 2, done
    assert said in " ".join(done.err.split())
    assert "Traceback" not in done.err

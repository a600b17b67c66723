"""Our own participants, each a process on a real broker, keep every rule of the wire contract."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from saga.conform import RULES, Target
from tests.acceptance.service import ROOT, Service, declared, not_kept, tried
from tests.integration.services.world_processes import running as world

PAYMENTS = Target(
    command="payments.ChargeCard.v1",
    body=b'{"order_id": "$UNIQUE", "customer": "ann", "amount": "9.99"}',
    undo="payments.RefundCharge.v1",
    undo_body=b'{"charge_id": null, "reason": "conform"}',
    declined_body=b'{"order_id": "$UNIQUE", "customer": "declined-bob", "amount": "9.99"}',
)
INVENTORY = Target(
    command="inventory.ReserveStock.v1",
    body=b'{"order_id": "$UNIQUE", "lines": [{"sku": "sku-1", "unit_count": 2}]}',
    undo="inventory.ReleaseStock.v1",
    undo_body=b'{"order_id": "$UNIQUE"}',
    declined_body=b'{"order_id": "$UNIQUE", "lines": [{"sku": "sold-out", "unit_count": 2}]}',
)
ACCOUNTS = Target(
    command="accounts.CreateAccount.v1",
    body=b'{"employee_id": "$UNIQUE", "login": "ann"}',
    undo="accounts.CloseAccount.v1",
    undo_body=b'{"employee_id": "$UNIQUE"}',
    declined_body=b'{"employee_id": "$UNIQUE", "login": "root"}',
)
WORKPLACE = Target(
    command="workplace.AssignDesk.v1",
    body=b'{"employee_id": "$UNIQUE", "site": "delft"}',
    undo="workplace.ReleaseDesk.v1",
    undo_body=b'{"employee_id": "$UNIQUE"}',
    declined_body=b'{"employee_id": "$UNIQUE", "site": "attic"}',
)

ADDRESS = b'{"name": "Ann", "street": "Kade 1", "city": "Delft", "country": "NL"}'
QUOTE = Target(command="shipping.QuoteCourier.v1", body=b'{"address": %b}' % ADDRESS, read_only=True)
BOOK = Target(
    command="shipping.BookCourier.v1",
    body=b'{"order_id": "$UNIQUE", "carrier": "swift", "address": %b}' % ADDRESS,
)
MAIL = Target(
    command="notifications.SendMail.v1",
    body=b'{"to": "ann@example.org", "subject": "conform", "reference": "$UNIQUE"}',
)
CONTACT = Target(
    command="contacts.UpsertContact.v1",
    body=b'{"reference": "$UNIQUE", "email": "ann@example.org", "name": "Ann", "company": "Bakery",'
    b' "document_id": "doc-1", "mail_id": "m-1"}',
)


OUTSIDE = {
    "carrier": ("SAGA_CARRIER_URL", "http"),
    "mailsink": ("SAGA_SMTP_URL", "smtp"),
    "crm": ("SAGA_CRM_URL", "http"),
}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[list[Service]]:
    """Processes that are ended with the test."""
    started: list[Service] = []
    yield started
    for service in started:
        service.close()


@pytest.mark.parametrize("target", [PAYMENTS, INVENTORY, ACCOUNTS, WORKPLACE], ids=lambda target: target.service)
async def test_our_participants_keep_every_rule(
    target: Target, vhost: str, tmp_path: Path, running: list[Service]
) -> None:
    """Also over a kill -9: nothing is left untried."""
    service = Service.python(target.service, await declared(vhost, target.service), tmp_path)
    running.append(service.start())
    findings = await tried(vhost, target, service.restart)
    assert not_kept(findings) == {}
    assert len(findings) == len(RULES)


@pytest.mark.parametrize("target", [QUOTE, BOOK, MAIL, CONTACT], ids=lambda target: target.command)
async def test_participants_with_effects_outside_keep_them_too(
    target: Target, vhost: str, tmp_path: Path, running: list[Service]
) -> None:
    """Read only, with a probe, at most once, under the provider's key: at businesses of their own."""
    with ExitStack() as stack:
        urls = {}
        for name, (variable, scheme) in OUTSIDE.items():
            there = stack.enter_context(world(name, tmp_path / f"{name}.jsonl"))
            urls[variable] = f"{scheme}://{there.host}:{there.port}"
        service = Service.python(target.service, await declared(vhost, target.service), tmp_path, **urls)
        running.append(service.start())
        findings = await tried(vhost, target, service.restart)
    untried = {name for name, (verdict, _) in not_kept(findings).items() if verdict == "untried"}
    assert set(not_kept(findings)) == untried
    assert "same-attempt" in untried if target.read_only else {"undo", "failed"} <= untried


async def test_the_command_line_says_so(vhost: str, tmp_path: Path, running: list[Service]) -> None:
    """Exit code 0, a line for each rule, and the rule that needs a restart untried."""
    running.append(Service.python("inventory", await declared(vhost, "inventory"), tmp_path).start())
    done = _conform(vhost, INVENTORY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(f"{len(RULES) - 1} kept, 0 broken, 1 untried\n")
    assert "kept      late-action         an action that comes after its compensation is" in done.stdout


async def test_the_command_line_finds_what_is_wrong(vhost: str, tmp_path: Path, running: list[Service]) -> None:
    """A body that inventory cannot answer `ok`: exit code 1, the rule, and what was received."""
    running.append(Service.python("inventory", await declared(vhost, "inventory"), tmp_path).start())
    wrong = Target(command=INVENTORY.command, body=b'{"order_id": "$UNIQUE", "lines": []}')
    done = _conform(vhost, wrong, "-o", "json")
    assert done.returncode == 1
    findings = {finding["rule"]["name"]: finding for finding in json.loads(done.stdout)}
    assert findings["answers"]["verdict"] == "broken"
    assert "answered refused/invalid-payload, wanted ok, effect applied" in findings["answers"]["reason"]
    (received,) = findings["answers"]["received"]
    assert received["routing_key"] == "inventory.refused"
    assert "Expected `array` of length >= 1" in received["headers"]["saga-message"]
    assert {finding["verdict"] for name, finding in findings.items() if name in ("undo", "alive")} == {"untried"}


def _conform(vhost: str, target: Target, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "saga.cli", "--amqp", vhost, "conform", target.command, *options]
    for name, value in (
        ("--body", target.body.decode()),
        ("--undo", target.undo),
        ("--undo-body", target.undo_body and target.undo_body.decode()),
        ("--declined-body", target.declined_body and target.declined_body.decode()),
    ):
        command += [name, value] if value else []
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)

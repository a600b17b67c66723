"""`saga demo` of the processes in which people decide."""

import re
from pathlib import Path

import pytest

from tests.acceptance.test_demo import assert_every_event_is_shown, run

HR, OUTREACH = "hr-onboarding", "agency-outreach"
ONCE = "✓ documents: 1 made, 1 kept; drafting: 1 draft"
UNIT = "✓ undone: desk, then privileges, then account"


def test_an_employee_is_onboarded(tmp_path: Path) -> None:
    """Approved with less, refused, and undone as one unit; the sub-saga is one of the things that are shown."""
    shown = run("demo", HR, "--state", str(tmp_path / "state"))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    ends = [status for end in ("completed", "compensated", "compensated") for status in (end, end)]
    assert_every_event_is_shown(tmp_path / "state", shown.stdout, ends)
    assert "✓ accounts: mail, wiki: as approved; granted once" in shown.stdout
    assert "✓ accounts: privileges were granted 0 times" in shown.stdout
    assert "✓ undone: account\n" in shown.stdout
    assert UNIT in shown.stdout


def test_a_company_is_written_to(tmp_path: Path) -> None:
    """What was edited is what was sent; after a resume and after a kill the documents are there once."""
    shown = run("demo", OUTREACH, "--state", str(tmp_path / "state"))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    ends = ["completed", "compensated", "completed", "completed"]
    assert_every_event_is_shown(tmp_path / "state", shown.stdout, ends)
    assert "✓ mail server: Breakfast at your place?" in shown.stdout
    assert "✓ undone: draft, then brief" in shown.stdout
    assert "draft retry --reason 'there is a template now'" in shown.stdout
    assert shown.stdout.count(ONCE) == 3
    costs = re.findall(r"● (?:completed|compensated) .*?cost (.+)", shown.stdout)
    food, space = "0.00544 USD, 22 tokens", "0.00546 USD, 23 tokens"
    assert costs == [food, food, space, food]  # the last one's draft was written twice, and told once


@pytest.mark.parametrize(("piece", "names", "told"), [
    (HR, {"accounts", "workplace", "mailsink", "orchestrator"}, UNIT),
    (OUTREACH, {"research", "documents", "drafting", "contacts", "crm", "orchestrator"}, "the process of drafting"),
])  # fmt: skip
def test_people_decide_over_real_servers(
    tmp_path: Path, vhost: str, database: str, piece: str, names: set[str], told: str
) -> None:
    """The same acts over RabbitMQ and PostgreSQL, each part a process of its own."""
    shown = run("demo", piece, "--state", str(tmp_path / "state"), "--amqp", vhost, "--postgres", database)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert names <= set(re.findall(r"([a-z]+) \d+", shown.stdout.splitlines()[0]))
    assert told in shown.stdout

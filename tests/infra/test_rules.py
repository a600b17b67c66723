"""Alerts: promtool takes them, each has been seen to fire and to keep silent, and says what to do next."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.architecture.test_references import _headings, _problem
from tests.infra.files import INFRA, ROOT, RULES, alerts, expressions, read_yaml, tool

TESTS = RULES.with_name("alerts_test.yml")
PROMTOOL_SECONDS = 100
ASKED = re.compile(r'ALERTS\{alertname="(\w+)", alertstate="firing"\}')
SHOWN = re.compile(r"`(saga [^`]+)`")
TEMPLATED = re.compile(r"\{\{[^}]*\}\}")


def promtool(*arguments: str | Path) -> str:
    """What it prints. Fails with it."""
    command = [tool("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROMTOOL_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_rules_and_the_configuration() -> None:
    """With every file they name."""
    assert f"{len(alerts())} rules found" in promtool("check", "rules", RULES)
    assert "SUCCESS" in promtool("check", "config", INFRA / "prometheus" / "prometheus.yml")


def test_alerts_fire_and_keep_silent() -> None:
    """As alerts_test.yml says."""
    assert "SUCCESS" in promtool("test", "rules", TESTS)


def test_every_alert_is_seen_to_fire_and_to_keep_silent() -> None:
    """One of both is no test."""
    seen: dict[str, set[bool]] = {rule["alert"]: set() for rule in alerts()}
    for test in read_yaml(TESTS)["tests"]:
        for check in test["promql_expr_test"]:
            asked = ASKED.fullmatch(check["expr"])
            assert asked, check["expr"]
            seen[asked[1]].add(bool(check["exp_samples"]))
    assert [name for name, outcomes in seen.items() if outcomes != {True, False}] == []


def test_every_expression_of_a_dashboard_parses(tmp_path: Path) -> None:
    """promtool reads only rules: each expression as one."""
    rules = "groups:\n  - name: dashboards\n    rules:\n"
    found = expressions()
    for number, expression in enumerate(found):
        body = expression.text.replace("\n", " ").replace("'", "''")
        rules += f"      - {{record: 'expression_{number}', expr: '{body}'}}\n"
    (tmp_path / "expressions.yml").write_text(rules)
    assert f"{len(found)} rules found" in promtool("check", "rules", tmp_path / "expressions.yml")


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    """How bad it is, a sentence, a command that exists, and a place in the runbook that has its name."""
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook"}
    assert rule["labels"]["severity"] in {"warning", "critical"}
    commands = SHOWN.findall(notes["description"])
    assert [f"{command}: {_problem(words(command))}" for command in commands if _problem(words(command))] == []
    assert "saga " in notes["description"] or "/readyz" in notes["description"]
    page, _, heading = notes["runbook"].partition("#")
    assert heading == str(rule["alert"]).lower()
    assert heading in _headings(ROOT / page)


def words(command: str) -> str:
    """What stands behind `saga`, with something in place of templates."""
    return TEMPLATED.sub("x", command).removeprefix("saga ")

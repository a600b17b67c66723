"""The compose file of infra/ for real: containers up, orders through them, and what Jaeger, Prometheus and Grafana say.

    python -m tests.infra.stack [--keep]        make test-docker

Needs a Docker engine with its compose plugin, and the ports of infra/README.md; nothing of it is part of `make test`.
Exit code 0: all was as it should be; 1: something was not, and is said; 2: it could not run.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.fleet import Fleet
from tests.acceptance.load import Mix, order_of
from tests.infra.files import DASHBOARDS, INFRA, ROOT, alerts, read_yaml
from tests.infra.jaeger import Told, same, spans_of
from tests.servers.docker import docker_answers
from tests.spans import tree

COMPOSE = ("docker", "compose", "--project-name", "saga-test", "--file", str(INFRA / "compose" / "compose.yaml"))
SERVICES = ("inventory", "payments", "shipping", "notifications")
DEVELOPMENT = "saga"
"""The password of everything."""
STORE = f"postgres://postgres:{DEVELOPMENT}@127.0.0.1:5432"
JAEGER, GRAFANA, PROMETHEUS = "http://127.0.0.1:16686", "http://127.0.0.1:3000", "http://127.0.0.1:9090"
COLLECTOR, COLLECTOR_HEALTH = "http://127.0.0.1:4318", "http://127.0.0.1:13133"
UP_SECONDS = 900
"""Images are downloaded the first time."""
SOON_SECONDS = 120.0
QUIET = Mix(sold_out=0, declined=0, prepaid=0, over_limit=0, twice=0, cancelled=0)
UNDONE = Mix(sold_out=0, declined=0, prepaid=0, over_limit=1, twice=0, cancelled=0)


def missing() -> str:
    """Why this cannot run, and what helps; nothing when it can."""
    if shutil.which("docker") is None:
        return "there is no docker command. Fix: install Docker Engine with its compose plugin"
    if not docker_answers():
        return "no Docker engine answers. Fix: start it, or name one with DOCKER_HOST"
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=30, check=False)
    return "" if plugin.returncode == 0 else "docker has no compose. Fix: install the package docker-compose-plugin"


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="leave the containers and their data")
    keep = parser.parse_args().keep
    if why := missing():
        print(f"test-docker did not run: {why}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="saga-stack-") as folder, containers(keep=keep):
        problems = list(tried(Path(folder)))
    print("\n".join(problems) or "test-docker: all as it should be")
    return 1 if problems else 0


@contextmanager
def containers(*, keep: bool) -> Iterator[None]:
    """Up and well, with empty volumes; gone at the end, with a look at their logs when something broke."""
    compose("down", "--volumes")
    try:
        compose("up", "--detach", "--wait", seconds=UP_SECONDS)
        assert eventually("the collector is well", lambda: fetch(COLLECTOR_HEALTH) is not None)
        yield
    except BaseException:
        subprocess.run([*COMPOSE, "logs", "--tail", "40"], timeout=60, check=False)
        raise
    finally:
        if not keep:
            compose("down", "--volumes")


def compose(*arguments: str, seconds: float = 120, given: bytes | None = None) -> None:
    """Run docker compose. Raises CalledProcessError."""
    subprocess.run([*COMPOSE, *arguments], input=given, timeout=seconds, check=True)


def tried(folder: Path) -> Iterator[str]:
    """What is not as it should be."""
    prepare(folder)
    fleet = processes(folder)
    try:
        fleet.start()
        for name in ("saga", *SERVICES):
            fleet.members[name].wait_for("started", seconds=SOON_SECONDS)
        for mix, code, name in ((QUIET, 0, "reserve"), (UNDONE, 7, "undo reserve")):
            yield from order_tried(mix, code, name)
        yield from prometheus_tried()
        yield from grafana_tried()
    finally:
        fleet.stop()
        fleet.close()


def prepare(folder: Path) -> None:
    """Databases, tables, definitions, and the broker's users and queues: as infra/README.md says."""
    for name in SERVICES:
        compose("exec", "-T", "postgres", "createdb", "-U", "postgres", name)
    cli("db", "migrate")
    cli("definitions", "publish", "services.ordering.definitions")
    passwords = folder / "passwords"
    passwords.write_text("".join(f"{user}:{DEVELOPMENT}\n" for user in ("orchestrator", *SERVICES, "shop")))
    exported = cli("topology", "export", "--caller", "shop", "--passwords", str(passwords)).stdout
    compose("exec", "-T", "rabbitmq", "rabbitmqctl", "import_definitions", given=exported)


def processes(folder: Path) -> Fleet:
    """An orchestrator, the services and their world; the first two show metrics where Prometheus looks."""
    orchestrator, *others = [
        target.split(":")[1] for group in read_yaml(INFRA / "prometheus" / "targets.yml") for target in group["targets"]
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "SAGA_OTLP": COLLECTOR}
    fleet = Fleet(folder, env)
    fleet.add("carrier", "services.world.carrier", "--port", "0", "--books", str(folder / "carrier.jsonl"))
    fleet.add("mailsink", "services.world.mailsink", "--port", "0", "--books", str(folder / "mail.jsonl"))
    fleet.start()
    world = {
        "SAGA_CARRIER_URL": fleet.members["carrier"].wait_for("ready on").split()[3],
        "SAGA_SMTP_URL": fleet.members["mailsink"].wait_for("ready on").split()[3],
    }
    running = ("--store", f"{STORE}/saga", "run", "--health", f"0.0.0.0:{orchestrator}")
    fleet.add("saga", "saga.cli", "--amqp", amqp("orchestrator"), *running)
    for name, port in zip(SERVICES, others, strict=True):
        serving = ("serve", f"services.{name}:participant", "--migrate", "--database", f"{STORE}/{name}")
        fleet.add(name, "saga.cli", "--amqp", amqp(name), *serving, "--health", f"0.0.0.0:{port}", **world)
    return fleet


def order_tried(mix: Mix, code: int, span: str) -> Iterator[str]:
    """One order: how it ended, and that Jaeger has its trace as the history rebuilds it, with this span."""
    order = order_of("stack", 1 + code, mix)
    started = cli("--amqp", amqp("shop"), "start", "order", "--data", order.body.decode(), "--wait", codes=(code,))
    saga = json.loads(started.stdout)["saga"]
    rebuilt = spans_of(cli("trace", "export", saga, "--format", "jaeger").stdout)
    found: list[Told] = []

    def told() -> bool:
        answer = fetch(f"{JAEGER}/api/traces/{saga.replace('-', '')}")
        found[:] = [] if answer is None else spans_of(answer)
        return not same(rebuilt, found, service="saga") and {each.service for each in found} >= set(SERVICES[:2])

    if not eventually(f"the trace of {saga} is in Jaeger", told):
        yield from (f"trace of {order.order_id}: {each}" for each in same(rebuilt, found, service="saga"))
        yield f"trace of {order.order_id}: told by {sorted({each.service for each in found})}"
        return
    if not tree([each.span for each in found]).find(span):
        yield f"trace of {order.order_id}: no span is {span}"


def prometheus_tried() -> Iterator[str]:
    """Every target is up, orders were counted, and every alert is evaluated."""
    up = f"{PROMETHEUS}/api/v1/query?query=sum(up)"
    ended = f"{PROMETHEUS}/api/v1/query?query=sum(saga_ended_total)"
    if not eventually("Prometheus reaches every process", lambda: value(up) == 1 + len(SERVICES)):
        yield f"Prometheus reaches {value(up)} processes. Is the bridge of Docker shut by a firewall?"
    if not eventually("Prometheus counts both orders", lambda: (value(ended) or 0) >= 2):
        yield f"Prometheus counts {value(ended)} orders"
    groups = json.loads(fetch(f"{PROMETHEUS}/api/v1/rules") or b"{}")["data"]["groups"]
    rules = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    if set(rules) != {rule["alert"] for rule in alerts()} or set(rules.values()) != {"ok"}:
        yield f"Prometheus evaluates alerts so: {rules}"


def grafana_tried() -> Iterator[str]:
    """It has the dashboards, and its sources answer."""
    for path in DASHBOARDS:
        wanted = json.loads(path.read_text())
        answer = fetch(f"{GRAFANA}/api/dashboards/uid/{wanted['uid']}")
        if answer is None or len(json.loads(answer)["dashboard"]["panels"]) != len(wanted["panels"]):
            yield f"Grafana does not have {path.name} as it is"
    answer = fetch(f"{GRAFANA}/api/datasources/proxy/uid/prometheus/api/v1/query?query=sum(saga_ended_total)")
    if answer is None or json.loads(answer)["status"] != "success":
        yield f"Grafana's Prometheus answers {answer!r}"


def value(url: str) -> float | None:
    """Of a query with one number."""
    answer = fetch(url)
    result: list[dict[str, Any]] = json.loads(answer)["data"]["result"] if answer else []
    return float(result[0]["value"][1]) if result else None


def fetch(url: str) -> bytes | None:
    """What is there; None when nobody answers, or with a refusal."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bytes(answer.read())
    except OSError:
        return None


def eventually(what: str, true: Callable[[], bool]) -> bool:
    """Whether it comes true in time; said as it goes."""
    deadline = time.monotonic() + SOON_SECONDS
    while not (done := true()) and time.monotonic() < deadline:
        time.sleep(1)
    print(f"{'yes' if done else 'NO'}: {what}")
    return done


def amqp(user: str) -> str:
    """The broker's address for a user."""
    return f"amqp://{user}:{DEVELOPMENT}@127.0.0.1:5672/%2F"


def cli(*arguments: str, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[bytes]:
    """A command over the store of the stack. Raises RuntimeError with what it said."""
    command = [sys.executable, "-m", "saga.cli", "--store", f"{STORE}/saga", *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, timeout=SOON_SECONDS, check=False)
    if done.returncode not in codes:
        raise RuntimeError(f"{arguments}: {done.returncode}\n{done.stdout.decode()}{done.stderr.decode()}")
    return done


if __name__ == "__main__":
    sys.exit(main())

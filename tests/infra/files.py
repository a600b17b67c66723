"""The files of infra/ as tests read them: rules, dashboards, and what their expressions name."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from saga.core.metrics.catalogue import METRICS
from saga.core.metrics.shape import Metric, MetricKind

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
RULES = INFRA / "prometheus" / "alerts.yml"
DASHBOARDS = sorted((INFRA / "grafana" / "dashboards").glob("*.json"))
OF_PROMETHEUS = {"up": (), "ALERTS": ("alertname", "alertstate")}
"""Series that Prometheus makes itself."""
TARGET_LABELS = ("job", "instance", "process")
"""What Prometheus adds to each series, and targets.yml."""
WORDS = {
    *("and", "or", "unless", "on", "by", "offset", "sum", "min", "max", "count", "absent", "vector"),
    *("rate", "increase", "histogram_quantile"),
}
"""Of PromQL, as far as it is used here."""
STRING = re.compile(r'"(?:\\.|[^"\\])*"')
DURATION = re.compile(r"\[[^\]]*\]|\boffset \w+")
GROUPING = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"\b([A-Za-z_]\w*)\s*(?:\{([^}]*)\})?")


class Expression(msgspec.Struct, frozen=True):
    """PromQL, and where it stands."""

    where: str
    text: str


class Named(msgspec.Struct, frozen=True):
    """What an expression names: series with the labels that are matched, and labels that are grouped by."""

    series: tuple[tuple[str, tuple[str, ...]], ...]
    grouped: tuple[str, ...]


def read_yaml(path: Path) -> Any:
    """A file of one document."""
    return yaml.safe_load(path.read_text())


def alerts() -> list[dict[str, Any]]:
    """The rules, in the order of the file."""
    return [rule for group in read_yaml(RULES)["groups"] for rule in group["rules"]]


def panels(dashboard: Path) -> list[dict[str, Any]]:
    """Without the rows."""
    return [panel for panel in json.loads(dashboard.read_text())["panels"] if panel["type"] != "row"]


def expressions() -> list[Expression]:
    """Of all alerts and panels, the variables of dashboards replaced by what `All` stands for."""
    of_alerts = [Expression(rule["alert"], rule["expr"]) for rule in alerts()]
    return of_alerts + [expression for dashboard in DASHBOARDS for expression in _shown(dashboard)]


def _shown(dashboard: Path) -> Iterator[Expression]:
    for panel in panels(dashboard):
        for target in panel.get("targets", ()):
            where = f"{dashboard.stem}: {panel['title']} {target['refId']}"
            yield Expression(where, with_all(target["expr"]))


def with_all(expression: str) -> str:
    """An expression of a dashboard, for everything and the last minute."""
    return re.sub(r"\$(?!__)\w+", ".*", expression.replace("$__rate_interval", "1m"))


def named(expression: str) -> Named:
    """What it names."""
    text = STRING.sub('""', expression)
    grouped = tuple(label for found in GROUPING.findall(text) for label in re.findall(r"\w+", found))
    text = DURATION.sub("", GROUPING.sub("", text))
    series = [
        (name, tuple(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matched)))
        for name, matched in SELECTOR.findall(text)
        if name not in WORDS
    ]
    return Named(tuple(series), grouped)


def metric_of(series: str) -> Metric | None:
    """The metric of the catalogue behind a series; None if there is none."""
    for metric in METRICS:
        ends = ("_bucket", "_sum", "_count") if metric.kind is MetricKind.HISTOGRAM else ("",)
        if series in {metric.prometheus + end for end in ends}:
            return metric
    return None


def labels_of(series: str) -> tuple[str, ...] | None:
    """The labels a series has in Prometheus; None if nobody makes it."""
    if series in OF_PROMETHEUS:
        return (*OF_PROMETHEUS[series], *TARGET_LABELS)
    metric = metric_of(series)
    if metric is None:
        return None
    own = tuple(label.replace(".", "_") for label in metric.labels)
    return (*own, *(("le",) if series.endswith("_bucket") else ()), *TARGET_LABELS)


def tool(name: str) -> str:
    """The path of Prometheus or promtool. Fails with what would provide it."""
    found = shutil.which(name)
    assert found, f"no {name}: `make servers` installs it (Debian: apt-get install --no-install-recommends prometheus)"
    return found

"""What dashboards and alerts name is in the catalogue of metrics, and what is in the catalogue is shown somewhere."""

import json
from pathlib import Path

import pytest

from saga.core.metrics.catalogue import METRICS
from tests.infra.files import DASHBOARDS, Named, expressions, labels_of, metric_of, named, panels


def wrong(found: Named) -> list[str]:
    """Series nobody makes, and labels they do not have."""
    unknown = [series for series, _ in found.series if labels_of(series) is None]
    unmatched = [
        f"{series}{{{label}}}"
        for series, matched in found.series
        for label in matched
        if label not in (labels_of(series) or (label,))
    ]
    every = {label for series, _ in found.series for label in labels_of(series) or ()}
    return [*unknown, *unmatched, *(f"by {label}" for label in found.grouped if label not in every)]


def test_only_what_is_in_the_catalogue_is_named() -> None:
    """Metrics and their labels."""
    assert {each.where: problems for each in expressions() if (problems := wrong(named(each.text)))} == {}
    assert [each.where for each in expressions() if not named(each.text).series] == []


def test_a_wrong_name_would_be_found() -> None:
    """The reader above sees series, matched labels and grouped ones, and nothing in strings and durations."""
    seen = named(
        'sum by (definition, nope) (rate(saga_opened{x="saga_z{}"}[5m] offset 1h)) / saga_open{wait=~"y",q!=""}'
    )
    assert seen == Named((("saga_opened", ("x",)), ("saga_open", ("wait", "q"))), ("definition", "nope"))
    assert wrong(seen) == ["saga_opened", "saga_open{q}", "by nope"]
    assert wrong(named("saga_dispatch_lag_seconds")) == ["saga_dispatch_lag_seconds"]  # a histogram has no such series


def test_every_metric_is_on_a_dashboard() -> None:
    """One that nobody looks at is not worth counting."""
    shown = {metric_of(series) for each in expressions() if ": " in each.where for series, _ in named(each.text).series}
    assert [metric.name for metric in METRICS if metric not in shown] == []


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_say_what_they_show(dashboard: Path) -> None:
    """A title of its own, a description, and what their numbers are."""
    found = panels(dashboard)
    assert len({panel["title"] for panel in found}) == len(found)
    assert [panel["title"] for panel in found if not panel["description"]] == []
    drawn = [panel for panel in found if panel["type"] != "text"]
    assert [panel["title"] for panel in drawn if not panel["fieldConfig"]["defaults"]["unit"]] == []
    assert {panel["datasource"]["uid"] for panel in drawn} == {"prometheus"}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_do_not_cover_each_other(dashboard: Path) -> None:
    """And each has an id of its own."""
    found = json.loads(dashboard.read_text())["panels"]
    assert len({panel["id"] for panel in found}) == len(found)
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in found):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_variables_of_dashboards_are_labels_of_metrics() -> None:
    """`label_values(metric, label)` names both; what is used is declared."""
    for dashboard in DASHBOARDS:
        board = json.loads(dashboard.read_text())
        variables = {each["name"]: each for each in board["templating"]["list"]}
        queries = [each["query"]["query"] for each in variables.values() if each["type"] == "query"]
        for query in queries:
            series, label = query.removeprefix("label_values(").removesuffix(")").split(", ")
            assert label in (labels_of(series) or ()), query
        used = {name for name in variables if f"${name}" in dashboard.read_text()}
        assert used == set(variables)

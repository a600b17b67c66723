"""The table of docs/reference/metrics.md, written from the catalogue: `python -m tests.metrics_reference`."""

from pathlib import Path

from saga.core.metrics.catalogue import METRICS
from saga.core.metrics.shape import Metric, Source
from tests.reference_pages import table, with_generated

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "metrics.md"
TITLES = {
    Source.ORCHESTRATOR: "Orchestrators",
    Source.FOLLOWER: "Followers",
    Source.STORE: "The store",
    Source.PARTICIPANT: "Participants",
    Source.EVERY: "Every process",
}


def pages() -> dict[Path, str]:
    """The page as it has to be, with its hand-written text as it is."""
    parts = [
        f"## {title}\n\n{table(('metric', 'in Prometheus', 'is', 'labels', 'meaning'), map(_row, _of(source)))}"
        for source, title in TITLES.items()
    ]
    buckets = [
        (f"`{each.name}`", ", ".join(f"{bound:,g}" for bound in each.buckets)) for each in METRICS if each.buckets
    ]
    parts.append(f"## Buckets\n\n{table(('histogram', 'upper bounds'), buckets)}")
    return {PAGE: with_generated(PAGE, "\n\n".join(parts))}


def _of(source: Source) -> list[Metric]:
    return [each for each in METRICS if each.source is source]


def _row(metric: Metric) -> tuple[str, ...]:
    unit = "seconds" if metric.unit == "s" else metric.unit.strip("{}")
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"`{metric.name}`", f"`{metric.prometheus}`", f"{metric.kind}, {unit}", labels, metric.help


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)

"""`saga trace`: the trace of a saga out of its history, as a file, to a backend, or as a link."""

import asyncio
from pathlib import Path

import msgspec

from saga.adapters.sqlite import open_store
from saga.ports import Batch
from tests.conformance.store.places import new_saga
from tests.otlp import Backend, read
from tests.spans import nested, tree
from tests.unit.cli.conftest import Type
from tests.unit.engine.rig import TWO_STEPS, ManualClock


def test_the_same_bytes_each_time(saga: Type, started: str, tmp_path: Path) -> None:
    """Of what had happened by then, in each form; on stdout or in a file."""
    for form in ("otlp-json", "otlp", "jaeger"):
        for name in ("one", "two"):
            assert saga("trace", "export", started, "--to", name, "--format", form).code == 0
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    printed = saga("trace", "export", started)
    assert printed.code == 0
    (span,) = printed.json()["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert span["name"] == "order started"
    assert span["traceId"] == started.replace("-", "")


def test_otlp_is_what_a_backend_reads(saga: Type, started: str, tmp_path: Path) -> None:
    """A file of protobuf, and a request to a backend: the same spans."""
    with Backend() as backend:
        sent = saga("trace", "export", started, "--to", backend.url)
        assert (sent.code, sent.err) == (0, f"1 spans sent to {backend.url}\n")
        spans = backend.spans()
    saga("trace", "export", started, "--to", "file", "--format", "otlp")
    assert [each.span for each in read((tmp_path / "file").read_bytes())] == spans
    nested(tree(spans))


def test_jaegers_form_is_a_page_of_traces(saga: Type, started: str) -> None:
    """One trace, with the process its spans belong to."""
    document = saga("trace", "export", started, "--format", "jaeger").json()
    assert document["data"][0]["spans"][0]["processID"] in document["data"][0]["processes"]


def test_a_link_from_the_template(saga: Type, started: str, tmp_path: Path) -> None:
    """The setting says where; without it, how to say it."""
    missing = saga("trace", "url", started)
    assert (missing.code, "SAGA_TRACE_URL" in missing.err) == (2, True)
    (tmp_path / "saga.toml").write_text('trace_url = "http://jaeger:16686/trace/{trace}?x={y}"\n')
    assert saga("trace", "url", started).out == f"http://jaeger:16686/trace/{started.replace('-', '')}?x={{y}}\n"


def test_what_cannot_be_done(saga: Type, started: str) -> None:
    """Each says what to do."""
    unknown = "01930000-0000-7000-8000-00000000dead"
    for arguments, code in (
        (("trace", "export", unknown), 3),
        (("trace", "url", unknown), 2),
        (("trace", "export", started, "--to", ""), 2),
        (("trace", "export", started, "--to", "collector:4318"), 2),
        (("trace", "export", started, "--to", "grpc://collector:4317"), 2),
        (("trace", "export", started, "--to", "http://collector:port"), 2),
        (("trace", "export", started, "--to", "no/such/folder/file"), 2),
        (("trace", "export", started, "--to", "http://127.0.0.1:1", "--format", "otlp"), 2),
        (("trace", "export", started, "--to", "http://127.0.0.1:1"), 6),
    ):
        ended = saga(*arguments)
        assert ended.code == code, (arguments, ended)
        assert "fix" in ended.err.lower()
        assert ended.out == ""


def test_a_file_that_cannot_be_written_is_said_to_be_one(saga: Type, started: str) -> None:
    """The line was understood; the folder is not there."""
    assert "SAGA-1005 no/such/folder/file" in saga("trace", "export", started, "--to", "no/such/folder/file").err


def test_a_backend_that_does_not_take_it(saga: Type, started: str) -> None:
    """It is said for what it is, with what may help; a password of the address is not repeated."""
    with Backend() as backend:
        place = backend.url.replace("//", "//me:hunter2@")
        for status, number, code, words in (
            (401, "SAGA-4015", 6, "SAGA_OTLP_HEADERS"),
            (404, "SAGA-4015", 6, "port 4318"),
            (503, "SAGA-4015", 6, "try again in a minute"),
            (500, "SAGA-4015", 6, "answers 500"),
            (400, "SAGA-4016", 1, "did not take 1 of 1 spans"),
        ):
            backend.status = status
            ended = saga("trace", "export", started, "--to", place)
            assert (ended.code, number in ended.err, words in ended.err) == (code, True, True), ended
            assert "hunter2" not in ended.err
            assert "spans sent" not in ended.err
        backend.status = 200
        sent = saga("trace", "export", started, "--to", place)
        assert sent.err == f"1 spans sent to {place.replace('hunter2', '***')}\n"
    away = saga("trace", "export", started, "--to", "http://127.0.0.1:1")
    assert "SAGA-4015 the telemetry backend 127.0.0.1:1" in away.err
    assert "RabbitMQ" not in away.err


def test_a_template_without_a_place_is_no_template(saga: Type, started: str, tmp_path: Path) -> None:
    """Every saga would have the same link; and whoever has none by that name hears that."""
    (tmp_path / "saga.toml").write_text('trace_url = "http://jaeger:16686/trace"\n')
    ended = saga("trace", "url", started)
    assert (ended.code, "has no {trace} in it" in ended.err, ended.out) == (2, True, "")
    (tmp_path / "saga.toml").write_text('trace_url = "http://jaeger:16686/trace/{trace}"\n')
    for unknown in ("01930000-0000-7000-8000-00000000dead", "order/nope", "nonsense"):
        ended = saga("trace", "url", unknown)
        assert (ended.code, "SAGA-3001" in ended.err, ended.out) == (3, True, "")


def test_a_sub_saga_is_seen_with_its_root(saga: Type, started: str, store: str, tmp_path: Path) -> None:
    """One trace for all of a family, whichever of it is named."""

    async def below() -> str:
        opened = await open_store(store.removeprefix("sqlite:///"), clock=ManualClock())
        child = new_saga(root=started, parent=started, definition=TWO_STEPS.hash)
        await opened.commit(Batch(starts=[child]))
        await opened.close()
        return child.saga

    (tmp_path / "saga.toml").write_text('trace_url = "http://jaeger:16686/trace/{trace}"\n')
    assert saga("trace", "url", asyncio.run(below())).out == saga("trace", "url", started).out


def test_texts_only_if_asked_for(saga: Type, started: str, tmp_path: Path) -> None:
    """The business key is the customer's."""
    plain = saga("trace", "export", started).out
    (tmp_path / "saga.toml").write_text("trace_texts = true\n")
    told = saga("trace", "export", started).out
    assert "saga.key" not in plain
    assert "saga.key" in told
    assert msgspec.json.decode(told)

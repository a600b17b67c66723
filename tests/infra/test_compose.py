"""The compose file and the configurations it mounts agree: names, ports, paths; and it opens nothing to others."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from saga.core.spans.data import SAGA_ID
from tests.infra.files import DASHBOARDS, INFRA, read_yaml

COMPOSE = INFRA / "compose" / "compose.yaml"
SERVICES: dict[str, dict[str, Any]] = read_yaml(COMPOSE)["services"]
EXACT = re.compile(r"[a-z./-]+:v?\d+\.\d+(\.\d+)?(-management)?")
NO_SHELL = {"collector"}
"""Its image holds one binary, so nothing in it can ask whether it is well."""


def image(service: str) -> str:
    """With the defaults of its variables."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", SERVICES[service]["image"])


def published(service: str) -> dict[int, int]:
    """Port of this machine by port of the container."""
    return {int(inside): int(outside) for _, outside, inside in map(split, SERVICES[service]["ports"])}


def split(port: str) -> tuple[str, str, str]:
    """Address, port of this machine, port of the container."""
    address, outside, inside = port.split(":")
    return address, outside, inside


def mounted(service: str) -> dict[str, Path | str]:
    """Folders of infra/, or names of volumes, by the path in the container."""
    found: dict[str, Path | str] = {}
    for volume in SERVICES[service]["volumes"]:
        source, target = volume.removesuffix(":ro").split(":")
        found[target] = (COMPOSE.parent / source).resolve() if source.startswith(".") else source
    return found


def inside(service: str, path: str) -> Path:
    """The file of infra/ that a container sees under this path."""
    for target, source in mounted(service).items():
        if isinstance(source, Path) and path.startswith(f"{target}/"):
            return source / path.removeprefix(f"{target}/")
    raise AssertionError(f"{service} sees no {path}")


def config(service: str) -> Any:
    """The configuration its command names."""
    (path,) = [word.split("=")[-1] for word in SERVICES[service]["command"] if word.endswith(".yml")]
    return read_yaml(inside(service, path))


def test_images_are_exact_and_nothing_is_reachable_from_elsewhere() -> None:
    """What ran yesterday runs tomorrow; and only this machine reaches it."""
    assert [name for name in SERVICES if not EXACT.fullmatch(image(name))] == []
    assert {split(port)[0] for service in SERVICES.values() for port in service["ports"]} == {"127.0.0.1"}


def test_every_service_says_whether_it_is_well() -> None:
    """But the one whose image cannot: its port is asked from outside."""
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == NO_SHELL
    (port,) = [split(port)[2] for port in SERVICES["collector"]["ports"] if split(port)[2] == "13133"]
    assert config("collector")["extensions"]["health_check"]["endpoint"].endswith(f":{port}")


def test_what_is_mounted_is_there_and_volumes_are_declared() -> None:
    """Docker makes a folder of what it does not find."""
    sources = [source for name in SERVICES for source in mounted(name).values()]
    assert [source for source in sources if isinstance(source, Path) and not source.is_dir()] == []
    assert {source for source in sources if isinstance(source, str)} == set(read_yaml(COMPOSE)["volumes"])


def test_the_collector_hands_spans_to_jaeger_at_once_and_all_of_them() -> None:
    """No sampling, no queue, no batch: what it says it took, Jaeger has."""
    found = config("collector")
    traces = found["service"]["pipelines"]["traces"]
    (exporter,) = traces["exporters"]
    host, port = found["exporters"][exporter]["endpoint"].split(":")
    assert config(host)["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].endswith(f":{port}")
    assert not found["exporters"][exporter]["sending_queue"]["enabled"]
    assert traces["processors"] == ["memory_limiter"]
    assert config("jaeger")["service"]["pipelines"]["traces"]["processors"] == []
    assert set(published("collector")) >= {4317, 4318}


def test_the_parts_of_every_pipeline_are_configured() -> None:
    """A name that is not defined stops a collector, and Jaeger is one."""
    for service in ("collector", "jaeger"):
        found = config(service)
        for pipeline in found["service"]["pipelines"].values():
            for kind, names in pipeline.items():
                assert set(names) <= set(found.get(kind, {})), (service, kind)
        assert set(found["service"]["extensions"]) == set(found["extensions"])


def test_jaeger_keeps_what_it_took_on_a_volume() -> None:
    """Longer than sagas wait, and over a restart."""
    found = config("jaeger")["extensions"]
    name = found["jaeger_query"]["storage"]["traces"]
    badger = found["jaeger_storage"]["backends"][name]["badger"]
    assert config("jaeger")["exporters"]["jaeger_storage_exporter"]["trace_storage"] == name
    assert not badger["ephemeral"]
    assert int(badger["ttl"]["spans"].removesuffix("h")) >= 60 * 24
    volumes = [target for target, source in mounted("jaeger").items() if isinstance(source, str)]
    assert [place for place in badger["directories"].values() if not place.startswith(f"{volumes[0]}/")] == []


def test_jaeger_leads_back_to_the_dashboard_of_the_saga() -> None:
    """By the tag that our spans carry, to a dashboard that takes its value."""
    found = config("jaeger")["extensions"]["jaeger_query"]
    (link,) = json.loads(inside("jaeger", found["ui"]["config_file"]).read_text())["linkPatterns"]
    assert link["key"] == SAGA_ID
    assert f"#{{{SAGA_ID}}}" in link["text"]
    to = urlsplit(link["url"])
    boards = {f"/d/{board['uid']}": board for board in map(json.loads, (path.read_text() for path in DASHBOARDS))}
    assert f"var-saga=#{{{SAGA_ID}}}" in f"{to.query}#{to.fragment}"
    assert "saga" in {each["name"] for each in boards[to.path]["templating"]["list"]}
    assert to.port in published("grafana").values()
    assert found["http"]["endpoint"].endswith(f":{next(iter(published('jaeger')))}")


def test_grafana_finds_its_sources_and_dashboards() -> None:
    """Under the names of the services, and where they are mounted."""
    sources = read_yaml(inside("grafana", "/etc/grafana/provisioning/datasources/datasources.yml"))["datasources"]
    for source in sources:
        address = urlsplit(source["url"])
        assert address.port in published(str(address.hostname))
    (provider,) = read_yaml(inside("grafana", "/etc/grafana/provisioning/dashboards/dashboards.yml"))["providers"]
    assert mounted("grafana")[provider["options"]["path"]] == DASHBOARDS[0].parent
    links = {link["url"] for path in DASHBOARDS for link in json.loads(path.read_text())["links"]}
    uids = {f"/d/{json.loads(path.read_text())['uid']}" for path in DASHBOARDS}
    assert links <= uids | {f"http://127.0.0.1:{port}" for port in published("jaeger").values()}


def test_prometheus_reaches_processes_beside_the_containers() -> None:
    """Its targets name a host that the compose file gives it; and the alerts' job is the job that is scraped."""
    names = {host.split(":")[0] for host in SERVICES["prometheus"]["extra_hosts"]}
    (job,) = config("prometheus")["scrape_configs"]
    (listed,) = [name for found in job["file_sd_configs"] for name in found["files"]]
    groups = read_yaml(INFRA / "prometheus" / listed)
    assert {target.split(":")[0] for group in groups for target in group["targets"]} == names
    assert job["job_name"] == "saga"

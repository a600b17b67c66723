"""Settings: flag, then environment, then `saga.toml`, then default. Read once, here, into one frozen value."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from saga.core.errors import SagaError
from saga.core.sampling import sampling_of

FILE = "saga.toml"
PREFIX = "SAGA_"
MASK = "***"
BAD_FILE = "SAGA-1003"
NOT_FIELDS = {"config", "profile"}

Role = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_.-]{1,64}$")]
Person = Annotated[str, msgspec.Meta(pattern="^[^,]{1,200}$")]
Approvers = Annotated[
    dict[Person, Annotated[tuple[Role, ...], msgspec.Meta(max_length=20)]], msgspec.Meta(max_length=1_000)
]

_PASSWORD_ARGUMENT = re.compile(r"([?&]password=)[^&]*")


class SettingsError(SagaError):
    """A setting that cannot be used, with its name, where it came from, and the fix."""

    code = "SAGA-1002"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything a process can be told. Each field is `SAGA_<FIELD>` in the environment; `<…>_FILE` names a file."""

    amqp: str = "amqp://guest:guest@127.0.0.1:5672/"
    """Broker: `amqp://user:password@host:port/vhost`."""
    amqp_management: str = ""
    """Management HTTP API, e.g. `http://user:password@host:15672`; empty: not used."""
    store: str = "postgres://postgres@127.0.0.1:5432/saga"
    """The engine's store: `postgres://…`, or `sqlite:///path`."""
    database: str = ""
    """A participant's own database: `postgres://…`, or `sqlite:///path`."""
    health: str = ""
    """`host:port` of the readiness endpoint, and of `/metrics`; empty: none."""
    metrics: bool = True
    """Where `health` or `otlp` is set: count, show `/metrics` beside `/readyz`, and send metrics to `otlp`."""
    metrics_interval: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 30
    """Seconds between two sendings of metrics to `otlp`."""
    processes: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Orchestrators that `saga run` starts."""
    event_loop: Literal["auto", "asyncio", "uvloop"] = "auto"
    """Of `saga run` and `saga serve`; auto: uvloop where it is installed (the extra `fast`)."""
    max_in_flight: Annotated[int, msgspec.Meta(ge=1)] = 2_000
    """Unanswered commands of a process above which starts wait."""
    follow: bool = True
    """`saga run` also follows the history and publishes lifecycle events; false: `saga follow` does it elsewhere."""
    gateways: tuple[str, ...] = ()
    """Broker users who vouch for people: their `saga-actor` is believed; comma-separated in the environment."""
    orchestrators: tuple[str, ...] = ()
    """Broker users of other orchestrators, where they log in as several; comma-separated in the environment."""
    approvers: Approvers = {}
    """Who decides on approvals, as which roles; `*` is everybody. A table `[approvers]` with `ada = ["editor"]`; in the
    environment `ada=editor+head,bo=editor`."""
    otlp: str = ""
    """OpenTelemetry backend over HTTP, e.g. `http://collector:4318`; empty: nothing is sent."""
    otlp_headers: tuple[str, ...] = ()
    """`name=value` of each request, for a backend that wants a key; comma-separated in the environment."""
    trace_sampling: tuple[str, ...] = ()
    """`definition=share` from 0 to 1, `*=share` for all others; what is not named is traced. Failures always are."""
    trace_texts: bool = False
    """Let error texts, operators' reasons, business keys and tags into traces."""
    trace_url: str = ""
    """Where `saga trace url` leads to, e.g. `http://jaeger:16686/trace/{trace}`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged, from this level on."""
    log_format: Literal["auto", "text", "json"] = "auto"
    """A line for people, or an object for programs; on stderr. auto: text on a terminal, JSON elsewhere."""
    log_texts: Literal["auto", "always", "never"] = "auto"
    """Let error texts of services and what peers wrote into logs. auto: on a terminal, and in `saga dev`."""


class Origin(msgspec.Struct, frozen=True):
    """Where a value came from, for `saga config explain`."""

    name: str
    value: str
    """Passwords masked."""
    source: str


def load(
    environment: Mapping[str, str],
    flags: Mapping[str, Any],
    *,
    file: Path | None = None,
    profile: str | None = None,
) -> tuple[Settings, list[Origin]]:
    """Put the settings together. `flags` holds only what was given. Raises SettingsError."""
    path = file or Path(environment.get(f"{PREFIX}CONFIG", FILE))
    sources: list[tuple[str, Mapping[str, Any]]] = [("flag", flags)]
    sources.append(("environment", _from_environment(environment)))
    chosen = profile or environment.get(f"{PREFIX}PROFILE")
    sources += _from_file(path, chosen, required=file is not None)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source, found in sources:
        for name, value in found.items():
            if name not in values:
                values[name], origins[name] = value, source
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(_explained(str(error), origins)) from None
    try:
        sampling_of(settings.trace_sampling)
    except ValueError as error:
        raise SettingsError(f"trace_sampling, from {origins['trace_sampling']}: {error}") from None
    return settings, [
        Origin(name, _shown(name, getattr(settings, name)), origins.get(name, "default"))
        for name in Settings.__struct_fields__
    ]


def _shown(name: str, value: object) -> str:
    if name == "otlp_headers" and isinstance(value, tuple):
        return str(tuple(f"{header.partition('=')[0]}={MASK}" for header in value))
    return masked(str(value))


def _explained(error: str, origins: Mapping[str, str]) -> str:
    """What is wrong, in which setting, from where, and what would be right."""
    named = re.search(r"`\$\.(\w+)", error) or re.search(r"`(\w+)", error)
    name = named[1] if named is not None else "?"
    reason = error.partition(" - at ")[0]
    if name not in Settings.__struct_fields__:
        known = ", ".join(Settings.__struct_fields__)
        return f"{name}, from {origins.get(name, 'somewhere')}, is no setting. Fix: one of {known}"
    kind = get_type_hints(Settings)[name]
    fix = f"one of {', '.join(get_args(kind))}" if get_origin(kind) is Literal else "see `saga config explain`"
    return f"{name}, from {origins.get(name, 'somewhere')}: {reason}. Fix: {fix}"


def masked(value: str) -> str:
    """A url without its password, wherever it stands."""
    value = _PASSWORD_ARGUMENT.sub(rf"\1{MASK}", value)
    scheme, separator, rest = value.partition("://")
    user, at, host = rest.rpartition("@")
    if not (separator and at and ":" in user):
        return value
    return f"{scheme}://{user.partition(':')[0]}:{MASK}@{host}"


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    kinds = get_type_hints(Settings)
    _refuse_typos(environment)
    for name in Settings.__struct_fields__:
        value = environment.get(PREFIX + name.upper())
        secret_file = environment.get(f"{PREFIX}{name.upper()}_FILE")
        if value is None and secret_file is not None:
            value = _read(name, Path(secret_file))
        if value is not None:
            found[name] = _of_text(name, value, kinds[name])
    return found


def _of_text(name: str, value: str, kind: object) -> object:
    """What stands in a variable, as a file would have it. Raises SettingsError."""
    if kind != tuple[str, ...] and name != "approvers":
        return value
    parts = tuple(part for part in value.split(",") if part)
    if name != "approvers":
        return parts
    found: dict[str, tuple[str, ...]] = {}
    for part in parts:
        person, equals, roles = part.rpartition("=")
        if not equals:
            raise SettingsError(f"{PREFIX}APPROVERS: {part!r} names no roles. Fix: person=role+role,person=role")
        found[person.strip()] = tuple(role.strip() for role in roles.split("+"))
    return found


def approvers_as_text(approvers: Mapping[str, tuple[str, ...]]) -> str:
    """As a variable holds it. A name with a comma has no such form."""
    return ",".join(f"{person}={'+'.join(roles)}" for person, roles in approvers.items())


def _refuse_typos(environment: Mapping[str, str]) -> None:
    """A participant's own variables may begin like ours; one that is almost ours is a mistake nobody would notice."""
    known = {*Settings.__struct_fields__, *NOT_FIELDS}
    for variable in environment:
        name = variable.removeprefix(PREFIX).removesuffix("_FILE").lower()
        if not variable.startswith(PREFIX) or name in known:
            continue
        from difflib import get_close_matches  # not worth its time when there is nothing to compare

        if close := get_close_matches(name, known, n=1, cutoff=0.75):
            raise SettingsError(f"{variable} is no setting. Fix: {PREFIX}{close[0].upper()}, or another name")


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise SettingsError(
            f"{PREFIX}{name.upper()}_FILE names {path}, which cannot be read: {error.strerror}"
        ) from None


def _from_file(path: Path, profile: str | None, *, required: bool) -> list[tuple[str, Mapping[str, Any]]]:
    if not path.exists():
        if required or profile is not None:
            raise SettingsError(f"there is no {path}. Fix: create it, or leave --config and --profile", code=BAD_FILE)
        return []
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}", code=BAD_FILE) from None
    profiles = content.pop("profile", {})
    if not isinstance(profiles, dict) or not all(isinstance(section, dict) for section in profiles.values()):
        raise SettingsError(f"{path}: profile is no table. Fix: [profile.NAME] with settings below it", code=BAD_FILE)
    found: list[tuple[str, Mapping[str, Any]]] = [(str(path), content)]
    if profile is not None:
        if profile not in profiles:
            known = ", ".join(profiles) or "none"
            raise SettingsError(f"{path} has no [profile.{profile}]; it has: {known}", code=BAD_FILE)
        found.insert(0, (f"{path} [profile.{profile}]", profiles[profile]))
    return found

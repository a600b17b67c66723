"""Settings: flag, then environment, then `saga.toml`, then default. Read once, here, into one frozen value."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from saga.core.errors import SagaError

FILE = "saga.toml"
PREFIX = "SAGA_"
SECRET = "***"


class SettingsError(SagaError):
    """A setting that cannot be used, with its name, where it came from, and the fix."""


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
    """`host:port` of the readiness endpoint; empty: none."""
    processes: int = 1
    max_in_flight: int = 2_000
    gateways: tuple[str, ...] = ()
    """Broker users whose `saga-actor` is believed; comma-separated in the environment."""
    log_level: str = "info"
    log_format: str = "text"
    """`text`, or `json`."""


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
        raise SettingsError(f"{error}. Fix: see `saga config explain` for every name and its source") from None
    return settings, [
        Origin(name, masked(str(getattr(settings, name))), origins.get(name, "default"))
        for name in Settings.__struct_fields__
    ]


def masked(value: str) -> str:
    """A url without its password."""
    scheme, separator, rest = value.partition("://")
    user, at, host = rest.rpartition("@")
    if not (separator and at and ":" in user):
        return value
    return f"{scheme}://{user.partition(':')[0]}:{SECRET}@{host}"


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    kinds = get_type_hints(Settings)
    for name in Settings.__struct_fields__:
        value = environment.get(PREFIX + name.upper())
        secret_file = environment.get(f"{PREFIX}{name.upper()}_FILE")
        if value is None and secret_file is not None:
            value = _read(name, Path(secret_file))
        if value is not None:
            listed = kinds[name] == tuple[str, ...]
            found[name] = tuple(part for part in value.split(",") if part) if listed else value
    return found


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
            raise SettingsError(f"there is no {path}. Fix: create it, or leave --config and --profile")
        return []
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    profiles = content.pop("profile", {})
    found: list[tuple[str, Mapping[str, Any]]] = [(str(path), content)]
    if profile is not None:
        if profile not in profiles:
            known = ", ".join(profiles) or "none"
            raise SettingsError(f"{path} has no [profile.{profile}]; it has: {known}")
        found.insert(0, (f"{path} [profile.{profile}]", profiles[profile]))
    return found

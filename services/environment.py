"""Addresses and numbers that services take from the environment, with errors that say what to set."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit


def address(name: str, *, scheme: str, example: str, environment: Mapping[str, str] = os.environ) -> tuple[str, int]:
    """Host and port of the address in variable `name`. Raises ValueError, naming the variable and the fix."""
    value = environment.get(name, "")
    parts = urlsplit(value)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is no number
        host, port = None, None
    if not value:
        raise ValueError(f"{name} is not set. Fix: {name}={example}")
    if parts.scheme != scheme or host is None or port is None:
        raise ValueError(f"{name}={value!r} is not {scheme}://HOST:PORT. Fix: {name}={example}")
    return host, port


def rate(name: str, *, environment: Mapping[str, str] = os.environ) -> float:
    """A share from 0 to 1; 0 when unset. Raises ValueError, naming the variable and the fix."""
    number = _number(name, environment)
    if not 0 <= number <= 1:
        raise ValueError(f"{name}={environment.get(name)!r} is no share. Fix: a number from 0 to 1, e.g. {name}=0.1")
    return number


def seconds(name: str, *, environment: Mapping[str, str] = os.environ) -> float:
    """A duration in seconds; 0 when unset. Raises ValueError, naming the variable and the fix."""
    number = _number(name, environment)
    if number < 0:
        raise ValueError(f"{name}={environment.get(name)!r} is no duration. Fix: seconds, e.g. {name}=0.5")
    return number


def together(name: str, *, wanted_by: str, environment: Mapping[str, str] = os.environ) -> str:
    """A text that is needed where another variable is set. Raises ValueError, naming both and the fix."""
    value = environment.get(name, "")
    if environment.get(wanted_by) and not value:
        raise ValueError(f"{wanted_by} is set and {name} is not. Fix: set {name} too, or unset {wanted_by}")
    return value


def _number(name: str, environment: Mapping[str, str]) -> float:
    value = environment.get(name, "")
    try:
        return float(value or 0)
    except ValueError:
        raise ValueError(f"{name}={value!r} is no number. Fix: e.g. {name}=0.1, or unset it") from None

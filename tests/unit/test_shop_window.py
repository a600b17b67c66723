"""`import saga` is cheap, gives the names a team needs, and each is what it says."""

import subprocess
import sys
from importlib import import_module
from types import FunctionType, ModuleType

import pytest

import saga

NAMES_MAX = 25


def in_new_process(code: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def test_the_window_is_small() -> None:
    """Names that nobody needs on the first day have a module of their own."""
    assert len(saga.__all__) <= NAMES_MAX
    assert saga.__all__ == sorted(saga.__all__)
    assert dir(saga) == saga.__all__


@pytest.mark.parametrize("name", saga.__all__)
def test_every_name_can_be_had(name: str) -> None:
    """And is the thing itself, wherever it lives."""
    assert getattr(saga, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As for any module."""
    with pytest.raises(AttributeError, match="module 'saga' has no attribute 'sagas'"):
        saga.sagas  # type: ignore[attr-defined]  # noqa: B018 - the access is the test


@pytest.mark.parametrize("module", ["saga", "saga.contract", "saga.define"])
def test_a_contracts_module_pays_for_no_client(module: str) -> None:
    """Broker, database and telemetry libraries are loaded by those who use them."""
    heavy = "{'aio_pika', 'aiormq', 'asyncpg', 'opentelemetry', 'asyncio', 'click'}"
    assert in_new_process(f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))") == "[]"


@pytest.mark.parametrize(
    "first", ["from saga import define", "import saga.define", "from saga.define import Retry", "import saga.contract"]
)
def test_define_is_the_word_and_the_package_in_any_order(first: str) -> None:
    """They share a name; whichever is imported first, both work."""
    code = f"{first}; from saga import define; from saga.define import On; print(callable(define), On.PARK)"
    assert in_new_process(code) == "True park"


def test_the_word_gives_what_the_function_gives() -> None:
    """The package stands for its word."""
    word = import_module("saga.define")
    assert isinstance(word, ModuleType)
    assert callable(saga.define("order", version=1))
    assert isinstance(vars(word)["define"], FunctionType)

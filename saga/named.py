"""Loads what MODULE:OBJECT names: the author's own code, which may be missing, broken, or something else."""

import importlib
import sys
import traceback
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from saga.core.errors import SagaError
from saga.define import Definition
from saga.participant import Participant, participant_of

BROKEN = "SAGA-1009"
OTHER_KIND = "SAGA-1010"
DECLARED_WRONG = "SAGA-2004"
NOTHING_THERE = "SAGA-2006"
OURS = Path(__file__).parent
PYTHON = Path(traceback.__file__).parent


class WrongName(SagaError):
    """What MODULE:OBJECT names is not there, cannot be imported, or is of another kind."""

    code = "SAGA-1008"


def load_object(spec: str) -> Any:
    """What `module:object` names; the current folder is looked in too. Raises WrongName, DefinitionError."""
    module_name, colon, attribute = spec.partition(":")
    if not colon or not attribute:
        raise WrongName(f"{spec!r} names no object. Fix: module:object, e.g. services.payments:participant")
    module = load_module(module_name)
    try:
        return getattr(module, attribute)
    except AttributeError:
        close = get_close_matches(attribute, [name for name in vars(module) if not name.startswith("_")], n=1)
        hint = f"{module_name}:{close[0]}" if close else f"name an object of {module.__file__ or module_name}"
        raise WrongName(f"{spec!r}: {module_name} has no {attribute!r}. Fix: {hint}") from None


def load_module(name: str) -> ModuleType:
    """The imported module. Raises WrongName, and whatever of ours it raises itself."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if not all(part.isidentifier() for part in name.split(".")):
        raise WrongName(f"{name!r} is no name of a module. Fix: package.module with dots, without .py")
    try:
        return importlib.import_module(name)
    except SagaError as error:
        error.add_note(f"at {place_of(error)}")
        raise
    except ModuleNotFoundError as error:
        if error.name == name and name.endswith(".py"):
            raise WrongName(f"{name!r} is a file, not a module. Fix: {name.removesuffix('.py')}") from None
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise WrongName(
                f"{name!r}: {error}. Fix: run it from the folder that holds {name.partition('.')[0]} (this is {here})"
            ) from None
        raise broken(name, error) from error
    except Exception as error:
        raise broken(name, error) from error


def participant_in(spec: str) -> Participant:
    """The participant that `module:object` is, or makes. Raises WrongName, DefinitionError."""
    if ":" not in spec:
        raise WrongName(f"{spec!r} names no object. Fix: {_participants_of(load_module(spec))}")
    found = load_object(spec)
    if isinstance(found, Definition):
        raise WrongName(
            f"{spec!r} is the definition {found.name} v{found.version}, not a participant. "
            f"Fix: saga dev --definitions {spec}, or saga definitions publish {spec}",
            code=OTHER_KIND,
        )
    if isinstance(found, type):
        hint = _participants_of(load_module(spec.partition(":")[0]))
        raise WrongName(f"{spec!r} is a class, not a participant. Fix: {hint}", code=OTHER_KIND)
    try:
        return participant_of(found)
    except SagaError:
        raise
    except Exception as error:
        raise broken(spec, error) from error


def definitions_in(spec: str) -> list[Definition[Any, Any]]:
    """Every definition a module holds (`module`), or one of them (`module:object`). Raises WrongName,
    DefinitionError."""
    if ":" in spec:
        found = load_object(spec)
        if isinstance(found, Participant):
            raise WrongName(f"{spec!r} is a participant, not a definition. Fix: saga serve {spec}", code=OTHER_KIND)
        if not isinstance(found, Definition):
            kind = "class" if isinstance(found, type) else type(found).__name__
            raise WrongName(
                f"{spec!r} is a {kind}, not a definition. Fix: name what @define returned",
                code=OTHER_KIND,
            )
        return [found]
    definitions = [value for value in vars(load_module(spec)).values() if isinstance(value, Definition)]
    if not definitions:
        raise WrongName(
            f"{spec!r} holds no definition. Fix: name a module with functions under @define", code=NOTHING_THERE
        )
    return definitions


def broken(spec: str, error: Exception) -> WrongName:
    """What the author's code raised, with the author's own line."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    said = " ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    told_by_us = isinstance(error, TypeError) and any(OURS in Path(one.filename).parents for one in last)
    return WrongName(f"{spec!r} ({place_of(error)}): {said}", code=DECLARED_WRONG if told_by_us else BROKEN)


def place_of(error: Exception) -> str:
    """The last line of the author's own that led to the error."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    others = [one for one in frames if not one.filename.startswith("<") and not _is_beneath(Path(one.filename))]
    own = [one for one in others if not _is_installed(Path(one.filename))] or others
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else "no line of yours"


def _is_beneath(file: Path) -> bool:
    """Ours, or Python's own: a `with` of ours passes through contextlib."""
    return OURS in file.parents or (PYTHON in file.parents and not _is_installed(file))


def _is_installed(file: Path) -> bool:
    """A library; the author's own code may be one too, if no other is there."""
    return "site-packages" in file.parts or "dist-packages" in file.parts


def _participants_of(module: ModuleType) -> str:
    """What could have been meant."""
    names = [f"{module.__name__}:{name}" for name, value in vars(module).items() if isinstance(value, Participant)]
    return " or ".join(names) or "module:object, the name of a Participant or of a function that returns one"

"""Checks what arrives against the paths a definition reads: a contract is checked by its use, without a schema.

The format of `Definition.reads` is `path: type`. A path is a source and its fields: `input.total`, `charge.charge_id`,
`input.lines[0].sku`, `input["odd name"]`. A type is a `ScalarType` and up to two marks: `?` it may be null, `=` it may
be missing (the contract gives a default, or it is an item of a list). `str`, `decimal?`, `bool=`, `str?=`. A path below
one that is null or missing, and may be, is not checked.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from saga.core.document import STR, Document, Gap, Path, decode_scalar, found, path_text
from saga.core.expression import JSON_NULL, EvaluationError, ScalarType

MAY_BE_NULL = "?"
MAY_BE_MISSING = "="

_PATH_PIECE = re.compile(r'\.([^.\[\]"\s]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]')


def check_reads(reads: Mapping[str, str], source: str, body: bytes) -> EvaluationError | None:
    """What is wrong with a body from which a definition reads, or None. `source` is `input` or a step's path."""
    document = Document({source: body})
    try:
        document.whole(source)
        for path, read_type in reads.items():
            read = _parse(path, read_type)
            if read.source == source:
                _check(reads, read, document)
    except EvaluationError as error:
        return error
    return None


class _Read(msgspec.Struct, frozen=True):
    place: str
    source: str
    fields: Path
    type: ScalarType
    may_be_null: bool


@lru_cache(maxsize=65_536)
def _parse(path: str, read_type: str) -> _Read:
    """One entry of `reads`. Raises EvaluationError when it is none."""
    source = re.split(r"[.\[]", path, maxsplit=1)[0]
    fields: list[str | int] = []
    position = len(source)
    while position < len(path):
        piece = _PATH_PIECE.match(path, position)
        if piece is None:
            raise EvaluationError(path, "is no path")
        position = piece.end()
        name, index, quoted = piece.groups()
        fields.append(int(index) if index else STR.decode(quoted) if quoted else name)
    scalar = read_type.rstrip(MAY_BE_NULL + MAY_BE_MISSING)
    if scalar not in list(ScalarType):
        raise EvaluationError(path, f"{read_type!r} is no type to read")
    return _Read(path, source, tuple(fields), ScalarType(scalar), MAY_BE_NULL in read_type)


def _check(reads: Mapping[str, str], read: _Read, document: Document) -> None:
    value = document.find(read.source, read.fields)
    if isinstance(value, Gap):
        _check_gap(reads, read, value)
    elif read.type is ScalarType.ANY:
        return
    elif bytes(value) == JSON_NULL:
        if not read.may_be_null:
            raise EvaluationError(read.place, f"{read.type} is read here, but it is null")
    elif read.type in (ScalarType.OBJECT, ScalarType.LIST):
        if bytes(value)[:1] != (b"{" if read.type is ScalarType.OBJECT else b"["):
            raise EvaluationError(read.place, f"{read.type} is read here, but it is {found(value)}")
    else:
        decode_scalar(value, read.type, read.place)


def _check_gap(reads: Mapping[str, str], read: _Read, gap: Gap) -> None:
    """A gap is allowed where the path it opens at is read as one that may be null or missing."""
    place = path_text(read.source, read.fields[: gap.depth])
    allowed = MAY_BE_NULL if gap.null else MAY_BE_MISSING
    if allowed not in reads.get(place, ""):
        reading = f"{read.type} is read here" if read.place == place else f"{read.place} is read"
        raise EvaluationError(place, f"{reading}, but it is {'null' if gap.null else 'missing'}")

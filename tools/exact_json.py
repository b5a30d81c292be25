"""Values as JSON that come back as they were: what journals and caches keep of results.

JSON has no tuples, sets, bytes, dates, decimals or arrays, and no numbers that are not finite. Each
of them is written as an object of one key that begins with `$`, such as `{"$tuple": [1, 2]}`; all
else is plain JSON. What cannot come back equal and of the same type is refused, with its place.
"""

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import BaseModel, RootModel

from nuthatch.messages import as_unicode

LONGEST = 16 * 2**20
"""Characters of JSON that one result may take."""
ModelT = TypeVar("ModelT", bound=BaseModel)


class NotExact(TypeError):
    """A value that would not come back as it is; the message says where it holds what."""

    def __init__(self, what: str, place: str = "") -> None:
        super().__init__(what, place)
        self.what = what
        self.place = place

    def __str__(self) -> str:
        return f"the result{self.place} {self.what}"

    def inside(self, place: str) -> "NotExact":
        """The same, seen from one level further out."""
        return NotExact(self.what, place + self.place)


# -- there ----------------------------------------------------------------------------------------

_DTYPES = "biufcSUMm"  # of arrays: numbers, bytes, text, times; no objects
_WRITTEN: dict[type, tuple[str, Callable[[Any], Any]]] = {
    bytes: ("$bytes", lambda value: b64encode(value).decode("ascii")),
    bytearray: ("$bytearray", lambda value: b64encode(value).decode("ascii")),
    complex: ("$complex", lambda value: [repr(value.real), repr(value.imag)]),
    Decimal: ("$decimal", str),
    UUID: ("$uuid", str),
    datetime: ("$datetime", lambda value: [value.isoformat(), value.fold, _zone(value)]),
    date: ("$date", date.isoformat),
    time: ("$time", lambda value: [value.isoformat(), value.fold, _zone(value)]),
    timedelta: ("$timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
}


def encode(value: Any, fallback: Callable[[Any], str] | None = None) -> Any:
    """The value in JSON's types.

    Models and dataclasses become objects of their fields, members of enums their values: their
    types are known where they are read. `fallback` gives a text for what has no form here.

    Raises:
        NotExact: a value of another type, or text with a lone surrogate, and no `fallback`.
    """
    kind = type(value)
    if kind is str:
        if fallback is None and not value.isascii() and as_unicode(value) != value:
            raise NotExact(f"holds text that is no Unicode: {value[:40]!a}")
        return value
    if value is None or kind in (bool, int):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, list):
        return [_inside(f"[{n}]", part, fallback) for n, part in enumerate(value)]
    if kind in _WRITTEN:
        tag, write = _WRITTEN[kind]
        return {tag: write(value)}
    if isinstance(value, RootModel):
        return encode(value.root, fallback)
    if isinstance(value, Enum):
        return encode(value.value, fallback)
    if isinstance(value, Path):
        return {"$path": encode(str(value), fallback)}
    if isinstance(value, tuple | set | frozenset):
        kinds = (tuple, set, frozenset)
        tag = next(f"${kind.__name__}" for kind in kinds if isinstance(value, kind))
        return {tag: encode(list(value), fallback)}
    if (isinstance(value, np.generic) or kind is np.ndarray) and value.dtype.kind in _DTYPES:
        data = b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        tag = "$array" if kind is np.ndarray else "$scalar"
        return {tag: [value.dtype.str, list(value.shape), data]}
    if (parts := _parts(value)) is not None:
        if all(type(name) is str and not name.startswith("$") for name in parts):
            return {
                encode(name, fallback): _inside(f".{name}", part, fallback)
                for name, part in parts.items()
            }
        return {"$dict": encode([list(item) for item in parts.items()], fallback)}
    if fallback is not None:
        return fallback(value)
    raise NotExact(f"is of type {kind.__name__}, which cannot be written down")


def _inside(place: str, part: Any, fallback: Callable[[Any], str] | None) -> Any:
    try:
        return encode(part, fallback)
    except NotExact as error:
        raise error.inside(place) from error


def _zone(value: datetime | time) -> str | None:
    """The name of its time zone; None: it has none, or only an offset from UTC."""
    return value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else None


def _parts(value: Any) -> Mapping[Any, Any] | None:
    """What a model, a dataclass or a dict holds, by name; None: it is none of them."""
    if isinstance(value, BaseModel):
        own = {name: getattr(value, name) for name in type(value).model_fields}
        return own | (value.model_extra or {})
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return value if isinstance(value, dict) else None


# -- and back -------------------------------------------------------------------------------------


def _array(written: Any) -> Any:
    dtype, shape, data = written
    kind = np.dtype(dtype)
    if kind.kind not in _DTYPES:
        raise ValueError(f"an array of {dtype!r}")
    return np.frombuffer(b64decode(data, validate=True), kind).reshape(shape).copy()


def _moment(kind: Any, text: str, fold: int, zone: str | None) -> Any:
    moment = kind.fromisoformat(text).replace(fold=fold)
    return moment if zone is None else moment.replace(tzinfo=ZoneInfo(zone))


_READ: dict[str, Callable[[Any], Any]] = {
    "$float": float,
    "$bytes": lambda written: b64decode(written, validate=True),
    "$bytearray": lambda written: bytearray(b64decode(written, validate=True)),
    "$complex": lambda written: complex(float(written[0]), float(written[1])),
    "$decimal": Decimal,
    "$path": Path,
    "$uuid": UUID,
    "$datetime": lambda written: _moment(datetime, *written),
    "$date": date.fromisoformat,
    "$time": lambda written: _moment(time, *written),
    "$timedelta": lambda written: timedelta(*written),
    "$array": _array,
    "$scalar": lambda written: _array(written)[()],
    "$tuple": lambda written: tuple(decode(written)),
    "$set": lambda written: set(decode(written)),
    "$frozenset": lambda written: frozenset(decode(written)),
    "$dict": lambda written: {decode(name): decode(part) for name, part in written},
}


def decode(written: Any) -> Any:
    """What `encode` was given, but for models, dataclasses, enums and paths: what they hold.

    Raises:
        ValueError: nothing that `encode` wrote.
    """
    if isinstance(written, list):
        return [decode(part) for part in written]
    if not isinstance(written, dict):
        return written
    tag = next(iter(written), "")
    if not tag.startswith("$"):
        return {name: decode(part) for name, part in written.items()}
    if len(written) != 1 or tag not in _READ:
        raise ValueError(f"there is no value of the form {tag!r}")
    try:
        return _READ[tag](written[tag])
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise ValueError(f"a value of the form {tag!r} is damaged: {error}") from error


def dumps(value: BaseModel) -> str:
    """A tool's result as JSON from which `loads` makes it again.

    Raises:
        NotExact: it would come back otherwise, or takes more than `LONGEST` characters.
    """
    try:
        text = json.dumps(encode(value), allow_nan=False)
        if len(text) > LONGEST:
            raise NotExact(
                f"takes {len(text):,} characters of JSON, at most {LONGEST:,} are kept; keep "
                "pictures and masks as media and return their handles"
            )
        back = loads(text, type(value))
    except RecursionError as error:
        raise NotExact("holds itself, or is nested too deeply") from error
    except NotExact:
        raise
    except Exception as error:  # the model's own validators may raise anything
        raise NotExact(f"cannot be read back from JSON: {error}") from error
    if (place := _difference(value, back, "")) is not None:
        raise NotExact("would come back otherwise from JSON; annotate it with its type", place)
    return text


def loads(text: str, kind: type[ModelT]) -> ModelT:
    """The result that `dumps` was given.

    Raises:
        ValueError: the text is no such JSON, or no result of this type.
    """
    return restore(decode(json.loads(text)), kind)


def restore(fields_: Any, kind: type[ModelT]) -> ModelT:
    """A model from its decoded fields, by their names.

    Raises:
        ValueError: they are not those of this type.
    """
    return kind.model_validate(fields_, by_alias=False, by_name=True)


def _difference(one: Any, other: Any, place: str) -> str | None:
    """The first place where two values differ by type or content; None: they are the same."""
    kind = type(one)
    if kind is not type(other):
        return place
    if kind in (str, int, bool):
        return None if one == other else place
    if isinstance(one, np.ndarray | np.generic):
        same = (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
        return None if same else place
    if isinstance(one, float | complex):
        return None if repr(one) == repr(other) else place
    if isinstance(one, RootModel):
        return _difference(one.root, other.root, place)
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return place
        for n, (part, counterpart) in enumerate(zip(one, other, strict=True)):
            if (found := _difference(part, counterpart, f"{place}[{n}]")) is not None:
                return found
        return None
    parts, others = _parts(one), _parts(other)
    if parts is None or others is None:
        return None if one == other else place
    if [*parts] != [*others]:
        return place
    for name in parts:
        if (found := _difference(parts[name], others[name], f"{place}.{name}")) is not None:
            return found
    return None


# -- for people and other programs ----------------------------------------------------------------


def plain(value: Any) -> Any:
    """The value as JSON that everyone reads: arrays, tuples and sets as lists, dates and decimals
    as text, bytes as base64, `NaN` and `Infinity` as text, models by the names of their fields.
    What has no such form becomes its `repr`."""
    if isinstance(value, np.generic | np.ndarray):
        listed = value.tolist()
        if not isinstance(listed, np.generic):
            return plain(listed)
        value = float(listed) if isinstance(listed, np.floating) else str(listed)  # long doubles
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str):
        return as_unicode(value)
    if isinstance(value, bytes | bytearray):
        return b64encode(value).decode("ascii")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | Path | timedelta):
        return as_unicode(str(value))
    if isinstance(value, RootModel):
        return plain(value.root)
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    parts = _parts(value)
    if parts is None:
        return as_unicode(repr(value))
    return {
        plain(name if isinstance(name, str) else str(name)): plain(parts[name]) for name in parts
    }


def cleaned(value: Any) -> Any:
    """The same with `as_unicode` texts, also in lists, tuples and dicts; all else as it is."""
    if type(value) is str:
        return as_unicode(value)
    if type(value) is dict:
        return {cleaned(name): cleaned(part) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(cleaned(part) for part in value)
    return value

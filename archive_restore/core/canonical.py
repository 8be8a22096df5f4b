"""Records to JSON and back, and the one byte form that is hashed (RFC 8785).

`to_plain` and `from_plain` are inverse for every record; an unknown field or a missing one is an error, so
that a file written by hand or by another version never half-loads.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

import rfc8785

T = TypeVar("T")


class Malformed(ValueError):
    """The data does not fit the record; the message names the place."""


def to_plain(value: object) -> Any:
    """Turn a record into dicts, lists, strings, numbers, booleans and None."""
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} is not plain data")


def canonical_bytes(value: object) -> bytes:
    """Serialize a record or plain data to its one canonical form (RFC 8785), UTF-8."""
    try:
        return _ENCODER.encode(_lean(value)).encode()
    except _NotLean:
        return rfc8785.dumps(to_plain(value))


_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, sort_keys=True, separators=(",", ":"))
_EXACT = 1 << 53
"""From here on doubles skip whole numbers (RFC 8785 appendix B)."""


class _NotLean(Exception):
    """The standard library might write this otherwise than RFC 8785 demands."""


def _lean(value: object) -> Any:
    """As to_plain, for what json.dumps writes in RFC 8785's form, an order of magnitude faster; raise _NotLean else.

    That is: ASCII names (both sort them alike), whole numbers below 2**53, and fractions so near to 1 that neither
    Python nor ECMAScript writes them with an exponent.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int or kind is float:
        number = typing.cast(float, value)
        if -_EXACT < number < _EXACT and number == int(number):
            return int(number)
        if kind is float and 1e-4 <= abs(number) < _EXACT:
            return number
        raise _NotLean
    if kind is tuple or kind is list:
        return [_lean(item) for item in typing.cast(Sequence[object], value)]
    names = _names(typing.cast(Any, kind))
    if names:
        return {name: _lean(getattr(value, name)) for name in names}
    if isinstance(value, Enum):
        return _lean(value.value)
    if isinstance(value, Mapping):
        plain = {str(name): _lean(item) for name, item in value.items()}
        if "".join(plain).isascii():
            return plain
    raise _NotLean


@functools.cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    """Names of a record's fields; none for other classes."""
    return tuple(field.name for field in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else ()


def from_plain(cls: type[T], data: object, where: str = "$") -> T:
    """Build the record `cls` from plain data; raise Malformed naming the place where it does not fit."""
    try:
        return typing.cast(T, _builder(typing.cast(Any, cls))(data))
    except _Misfit:
        return typing.cast(T, _build(cls, data, where))  # once more and slowly: this one names the place


class _Misfit(Exception):
    """The data does not fit, somewhere."""


_MISFIT = _Misfit()


@functools.cache
def _builder(kind: Any) -> Callable[[Any], Any]:
    """What `_build` does for this type, worked out once: several times as fast, and without the place."""
    origin = typing.get_origin(kind)
    if kind is Any or isinstance(kind, typing.ForwardRef | str):
        return _frozen
    if origin in (types.UnionType, typing.Union):
        return _union_builder(typing.get_args(kind))
    if origin is tuple:
        return _tuple_builder(typing.get_args(kind))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_builder(_builder(typing.get_args(kind)[1]))
    if dataclasses.is_dataclass(kind):
        return _record_builder(kind)
    return functools.partial(_plainly, kind)


def _plainly(kind: Any, data: Any) -> Any:
    if type(data) is kind and not issubclass(kind, Enum):
        return data
    try:
        return _build(kind, data, "")
    except Malformed as exc:
        raise _MISFIT from exc


def _mapping_builder(item: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def build(data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise _MISFIT
        return types.MappingProxyType({str(name): item(value) for name, value in data.items()})

    return build


def _tuple_builder(args: tuple[Any, ...]) -> Callable[[Any], Any]:
    each = tuple(_builder(arg) for arg in args if arg is not Ellipsis)

    def build(data: Any) -> Any:
        if not isinstance(data, Sequence) or isinstance(data, str | bytes):
            raise _MISFIT
        if Ellipsis in args:
            return tuple(map(each[0], data))
        if len(each) != len(data):
            raise _MISFIT
        return tuple(one(item) for one, item in zip(each, data, strict=True))

    return build


def _union_builder(args: tuple[Any, ...]) -> Callable[[Any], Any]:
    if any(isinstance(arg, typing.ForwardRef | str) for arg in args):
        return _frozen
    others = tuple(_builder(arg) for arg in args if arg is not type(None))
    optional = type(None) in args

    def build(data: Any) -> Any:
        if data is None and optional:
            return None
        for other in others:
            with contextlib.suppress(_Misfit):
                return other(data)
        raise _MISFIT

    return build


def _record_builder(kind: Any) -> Callable[[Any], Any]:
    needed = {
        field.name for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }  # fmt: skip
    builders: dict[str, Callable[[Any], Any]] = {}

    def build(data: Any) -> Any:
        if not builders:  # not before: a record may hold its own kind
            builders.update({field.name: _builder(_hints(kind)[field.name]) for field in dataclasses.fields(kind)})
        if not isinstance(data, Mapping) or not needed <= data.keys():
            raise _MISFIT
        try:
            return kind(**{name: builders[name](value) for name, value in data.items()})
        except KeyError as exc:
            raise _MISFIT from exc

    return build


@functools.cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _build(kind: Any, data: object, where: str) -> Any:
    origin = typing.get_origin(kind)
    if kind is Any or isinstance(kind, typing.ForwardRef | str):
        return _frozen(data)
    if origin in (types.UnionType, typing.Union):
        return _build_union(kind, data, where)
    if origin is tuple:
        return _build_tuple(typing.get_args(kind), data, where)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(data, Mapping):
            raise Malformed(f"{where} must be an object")
        item_kind = typing.get_args(kind)[1]
        return types.MappingProxyType({str(k): _build(item_kind, v, f"{where}.{k}") for k, v in data.items()})
    if dataclasses.is_dataclass(kind):
        return _build_record(kind, data, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError as exc:
            raise Malformed(f"{where}: {exc}") from exc
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if isinstance(kind, type) and type(data) is kind:
        return data
    raise Malformed(f"{where} must be {getattr(kind, '__name__', kind)}, not {type(data).__name__}")


def _build_record(kind: Any, data: object, where: str) -> Any:
    if not isinstance(data, Mapping):
        raise Malformed(f"{where} must be an object")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = sorted(set(data) - set(fields))
    if unknown:
        raise Malformed(f"{where} has the unknown member {unknown[0]!r}")
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _build(_hints(kind)[name], data[name], f"{where}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise Malformed(f"{where} lacks the member {name!r}")
    return kind(**values)


def _build_tuple(args: tuple[Any, ...], data: object, where: str) -> tuple[Any, ...]:
    if not isinstance(data, Sequence) or isinstance(data, str | bytes):
        raise Malformed(f"{where} must be an array")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_build(args[0], item, f"{where}[{i}]") for i, item in enumerate(data))
    if len(args) != len(data):
        raise Malformed(f"{where} must have {len(args)} members")
    return tuple(_build(arg, item, f"{where}[{i}]") for i, (arg, item) in enumerate(zip(args, data, strict=True)))


def _build_union(kind: Any, data: object, where: str) -> Any:
    args = typing.get_args(kind)
    if any(isinstance(arg, typing.ForwardRef | str) for arg in args):
        return _frozen(data)  # the recursive Json type: any plain data fits
    if data is None and type(None) in args:
        return None
    problems = []
    for arg in args:
        if arg is type(None):
            continue
        try:
            return _build(arg, data, where)
        except Malformed as exc:
            problems.append(str(exc))
    raise Malformed(problems[0] if problems else f"{where} must be null")


def _frozen(data: object) -> Any:
    """Plain JSON data with tuples for arrays and read-only mappings for objects."""
    if isinstance(data, Mapping):
        return types.MappingProxyType({str(key): _frozen(item) for key, item in data.items()})
    if isinstance(data, list | tuple):
        return tuple(_frozen(item) for item in data)
    return data

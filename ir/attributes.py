"""Attributes of ops: compile-time values with declared kinds.

An attribute value is an immutable Python value.  Its *kind* (declared by the op) checks
and normalizes it once, when an op is built, so that every later reader can rely on the
form: tuples, never lists; ``int``, never NumPy integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .constants import Constant
from .dims import Dim, DimExpr, substitute
from .dtypes import DType
from .types import Layout, Quantized, Sparse

Scalar = bool | int | float | str | DType | DimExpr | Constant | Quantized | Sparse | Layout
AttributeValue: TypeAlias = Scalar | tuple["AttributeValue", ...]


class BadAttributeError(ValueError):
    """A value does not fit its declared kind; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class AttributeKind:
    """What values an attribute takes; ``normalize`` checks one and brings it to normal form."""

    name: str
    normalize: Callable[[Any], AttributeValue]

    def __str__(self) -> str:
        return self.name


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise BadAttributeError(f"expected an integer, got {value!r}")
    return int(value.__index__())


def _float(value: Any) -> float:
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__"):
        raise BadAttributeError(f"expected a number, got {value!r}")
    return float(value)


def _bool(value: Any) -> bool:
    if value not in (True, False, 0, 1):
        raise BadAttributeError(f"expected true or false, got {value!r}")
    return bool(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise BadAttributeError(f"expected a string, got {value!r}")
    return value


def _dim(value: Any) -> Dim:
    return value if isinstance(value, DimExpr) else _integer(value)


def _instance(kind: type, what: str) -> Callable[[Any], Any]:
    def normalize(value: Any) -> Any:
        if not isinstance(value, kind):
            raise BadAttributeError(f"expected {what}, got {value!r}")
        return value

    return normalize


def _sequence(element: Callable[[Any], AttributeValue]) -> Callable[[Any], AttributeValue]:
    def normalize(value: Any) -> AttributeValue:
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            raise BadAttributeError(f"expected a list, got {value!r}")
        return tuple(element(item) for item in value)

    return normalize


INT = AttributeKind("int", _integer)
FLOAT = AttributeKind("float", _float)
BOOL = AttributeKind("bool", _bool)
STRING = AttributeKind("string", _string)
DIM = AttributeKind("dim", _dim)
DTYPE = AttributeKind("dtype", _instance(DType, "an element type"))
CONSTANT = AttributeKind("constant", _instance(Constant, "a constant"))
QUANTIZED = AttributeKind("quantization", _instance(Quantized, "a quantization"))
SPARSE = AttributeKind("sparsity", _instance(Sparse, "a sparsity format"))
LAYOUT = AttributeKind("layout", _instance(Layout, "a layout"))
INTS = AttributeKind("ints", _sequence(_integer))
FLOATS = AttributeKind("floats", _sequence(_float))
STRINGS = AttributeKind("strings", _sequence(_string))
DIMS = AttributeKind("dims", _sequence(_dim))


def choice(*options: str) -> AttributeKind:
    """The kind of a string that must be one of ``options``."""

    def normalize(value: Any) -> str:
        if value not in options:
            raise BadAttributeError(f"expected one of {', '.join(options)}, got {value!r}")
        return str(value)

    return AttributeKind(" | ".join(options), normalize)


class Attributes(Mapping[str, AttributeValue]):
    """The attributes of one op: an immutable mapping, also readable as ``a.strides``."""

    __slots__ = ("_hash", "_values")

    def __init__(self, values: Mapping[str, AttributeValue]) -> None:
        self._values = dict(values)
        self._hash: int | None = None

    def __getitem__(self, key: str) -> AttributeValue:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"no attribute {name!r}") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Attributes) and self.key == other.key

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(self.key)
        return self._hash

    @property
    def key(self) -> tuple[tuple[str, object], ...]:
        """A hashable form; distinguishes 1 from 1.0 and true, and 0.0 from -0.0; NaN equals NaN."""
        return tuple((name, value_key(value)) for name, value in sorted(self._values.items()))

    @property
    def is_static(self) -> bool:
        """Whether all dimensions in them are integers."""
        return not any(map(_has_symbol, self._values.values()))

    def replace(self, **changes: AttributeValue) -> Attributes:
        """A copy with some values changed."""
        return Attributes({**self._values, **changes})

    def substitute(self, binding: Mapping[str, Dim]) -> Attributes:
        """A copy with symbols in dimensions replaced."""
        return self.map_dims(lambda dim: substitute(dim, binding))

    def map_dims(self, change: Callable[[Dim], Dim]) -> Attributes:
        """A copy with each dimension that is not an integer replaced by ``change`` of it."""
        if self.is_static:
            return self
        return Attributes({k: _map_dims(v, change) for k, v in self._values.items()})

    def __repr__(self) -> str:
        return f"Attributes({self._values!r})"


def value_key(value: object) -> object:
    """A hashable form of one value, as in :attr:`Attributes.key`."""
    if isinstance(value, tuple):
        return tuple(map(value_key, value))
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value.hex())
    return (type(value).__name__, value)


def _has_symbol(value: AttributeValue) -> bool:
    if isinstance(value, tuple):
        return any(map(_has_symbol, value))
    return isinstance(value, DimExpr)


def _map_dims(value: AttributeValue, change: Callable[[Dim], Dim]) -> AttributeValue:
    if isinstance(value, tuple):
        return tuple(_map_dims(item, change) for item in value)
    return change(value) if isinstance(value, DimExpr) else value

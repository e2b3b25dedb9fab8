"""Binding the dynamic dimensions of a model's inputs.

``dims`` maps a symbol's name to a size, to an inclusive range ``(low, high)``, or to an
expression over other symbols such as ``"32*h"``; or an input's name to its whole shape, whose
entries are sizes, names, expressions, or None for "as declared".  A dimension that the model
leaves unnamed is called ``<input>_<axis>``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from burnish.ir import Dim, DimExpr, TensorType, parse_dim, symbol
from burnish.ir.dims import MAX_DIM, Interval, plain_symbol, substitute, symbols_of
from burnish.ir.errors import DimensionError, ModelError, ParseError, UnsupportedError, clip

from .graph import DimHint, ValueInfo

Size: TypeAlias = int | tuple[int, int]
Binding: TypeAlias = Size | str | Sequence[int | str | None]
"""What ``dims`` may give for a name: a size, a range, an expression, or a whole shape."""

_UNNAMED = frozenset({"", "?", "-1", "None"})
"""What exporters write for "nothing known"; two such axes have nothing to do with each other."""

_MAX_SHOWN = 12


@dataclass(frozen=True)
class Signature:
    """Types of the inputs, and the range of every symbol in them.

    ``symbols`` holds the ranges that were asked for; ``ranges`` also what is assumed of unbound
    symbols (anything a dimension can be).
    """

    types: Mapping[str, TensorType]
    symbols: Mapping[str, Interval]
    ranges: Mapping[str, Interval]


@dataclass(frozen=True)
class _Axis:
    """One dynamic axis of an input."""

    input: str
    axis: int
    named: bool

    def __str__(self) -> str:
        return f'axis {self.axis} of input "{clip(self.input)}"'


def bind_inputs(
    inputs: Sequence[ValueInfo],
    dims: Mapping[str, Binding] | None = None,
    *,
    allow_unbound: bool = False,
) -> Signature:
    """Types of the model's inputs with dimensions bound as ``dims`` says.

    Raises:
        DimensionError: a dimension stays unbound (all are listed, unless ``allow_unbound``), a
            name in ``dims`` does not exist, or a binding contradicts the model or another one.
        UnsupportedError: an input is no tensor of numbers.
        ModelError: an input has no declared element type.
    """
    binder = _Binder(inputs, dims or {})
    return binder.signature(allow_unbound)


class _Binder:
    def __init__(self, inputs: Sequence[ValueInfo], dims: Mapping[str, Binding]) -> None:
        self._values: dict[str, Size | DimExpr] = {}
        self._axes: dict[str, list[_Axis]] = {}
        self._inputs = {value.name: value for value in inputs}
        self._shapes: dict[str, list[int | str]] = {}
        self._unranked: list[str] = []
        declared = self._declared = {
            dim for v in inputs for dim in v.type.shape or () if isinstance(dim, str)
        } - _UNNAMED
        whole: dict[str, Sequence[int | str | None]] = {}
        dims = {name: _plain(binding) for name, binding in dims.items()}
        for name, binding in dims.items():
            shape = _as_shape(name, binding, self._inputs.get(name), name in declared)
            if shape is not None:
                whole[name] = shape
        for value in inputs:
            self._declare(value, whole.get(value.name))
        # Expressions first: they introduce symbols that others may bind.
        for name, binding in sorted(dims.items(), key=lambda item: not isinstance(item[1], str)):
            if name not in whole:
                self._bind_symbol(name, binding)

    def _declare(self, value: ValueInfo, whole: Sequence[int | str | None] | None) -> None:
        """Note the input's axes, and bind its symbols where the whole shape is given."""
        name, declared = value.name, value.type
        if declared.kind != "tensor":
            raise UnsupportedError(f'input "{clip(name)}" is of kind {declared.kind}, not a tensor')
        if declared.dtype is None:
            if declared.element:
                raise UnsupportedError(
                    f'input "{clip(name)}" has the element type {declared.element}'
                )
            raise ModelError(f'input "{clip(name)}" has no declared element type')
        if declared.shape is None:
            if whole is None:
                self._unranked.append(name)
                return
            declared_shape: tuple[DimHint, ...] = (None,) * len(whole)
        else:
            declared_shape = declared.shape
        if whole is not None and len(whole) != len(declared_shape):
            raise DimensionError(
                f'the shape given for input "{clip(name)}" has {len(whole)} axes, '
                f"the model declares {len(declared_shape)}"
            )
        given = whole or (None,) * len(declared_shape)
        self._shapes[name] = [
            self._axis(name, axis, hint, entry)
            for axis, (hint, entry) in enumerate(zip(declared_shape, given, strict=True))
        ]

    def _axis(self, name: str, axis: int, hint: DimHint, entry: int | str | None) -> int | str:
        """One dimension: a size or a symbol's name."""
        if isinstance(hint, int):
            if entry is not None and entry != hint:
                raise DimensionError(
                    f'axis {axis} of input "{clip(name)}" is {hint} in the model, '
                    f"the given shape says {entry}"
                )
            return hint
        named = hint is not None and hint not in _UNNAMED
        label = hint if hint is not None and named else f"{name}_{axis}"
        self._axes.setdefault(label, []).append(_Axis(name, axis, named))
        if isinstance(entry, str):
            if entry != label:
                self._give_expression(label, entry)
        elif entry is not None:
            self._give(label, _size(label, entry))
        return label

    def _bind_symbol(self, name: str, binding: Binding) -> None:
        if name not in self._axes:
            symbols = ", ".join(f'"{clip(n)}"' for n in list(self._axes)[:_MAX_SHOWN])
            inputs = ", ".join(f'"{clip(n)}"' for n in list(self._inputs)[:_MAX_SHOWN])
            raise DimensionError(
                f'the model has no dimension and no input called "{clip(str(name))}"',
                help=f"it has the dimensions {symbols or '(none)'} and the inputs {inputs}",
            )
        if isinstance(binding, str):
            self._give_expression(name, binding)
        else:
            self._give(name, _size(name, binding))

    def _give_expression(self, name: str, text: str) -> None:
        """Bind ``name`` to an expression, whose symbols thereby stand for sizes of its axes."""
        value = self._parsed(text)
        for other in sorted(symbols_of(value)):
            axes = [replace(axis, named=True) for axis in self._axes[name]]
            self._axes.setdefault(other, []).extend(axes)
        self._give(name, value if isinstance(value, DimExpr) else _size(name, value))

    def _parsed(self, text: str) -> Dim:
        """A name as it stands in the model, else an expression, else a name of any characters."""
        if text in self._declared:
            return symbol(text)
        try:
            return parse_dim(text)
        except ParseError:
            return symbol(text)

    def _give(self, name: str, value: Size | DimExpr) -> None:
        if self._values.setdefault(name, value) != value:
            raise DimensionError(
                f'dimension "{clip(name)}" is bound to both {_shown(self._values[name])} '
                f"and {_shown(value)}"
            )

    def _resolve(self, name: str) -> tuple[str, Size | DimExpr | None]:
        """The symbol that a name is another name of, and what that is bound to, if at all."""
        seen = {name}
        while isinstance(value := self._values.get(name), DimExpr):
            other = plain_symbol(value)
            if other is None:
                return name, value
            if other in seen:
                return other, None
            seen.add(other)
            name = other
        return name, value

    def signature(self, allow_unbound: bool) -> Signature:
        """Put everything together."""
        unbound = [name for name in self._axes if self._resolve(name)[1] is None]
        if (unbound and not allow_unbound) or self._unranked:
            raise self._unbound_error(unbound)
        symbols: dict[str, Interval] = {}
        ranges: dict[str, Interval] = {}
        types: dict[str, TensorType] = {}
        for name, entries in self._shapes.items():
            shape: list[Dim] = []
            for entry in entries:
                shape.append(entry if isinstance(entry, int) else self._dim(entry, symbols, ranges))
            dtype = self._inputs[name].type.dtype
            assert dtype is not None
            types[name] = TensorType(tuple(shape), dtype)
        return Signature(types, symbols, {**ranges, **symbols})

    def _dim(
        self,
        name: str,
        symbols: dict[str, Interval],
        ranges: dict[str, Interval],
        inside: tuple[str, ...] = (),
    ) -> Dim:
        """What ``name``, met inside the expressions of others, stands for; notes its range."""
        label, value = self._resolve(name)
        if isinstance(value, int):
            return value
        if isinstance(value, DimExpr):
            if label in inside:
                raise DimensionError(f'dimension "{clip(label)}" is bound to itself: {value}')
            return substitute(
                value,
                {
                    other: self._dim(other, symbols, ranges, (*inside, label))
                    for other in symbols_of(value)
                },
            )
        if value is None:
            ranges[label] = (0, MAX_DIM)
        else:
            symbols[label] = value
        return symbol(label)

    def _unbound_error(self, unbound: Sequence[str]) -> DimensionError:
        places: list[str] = []
        arguments: dict[str, None] = {}
        keys: dict[str, None] = {}
        for name in unbound:
            axes = self._axes[name]
            listed = ", ".join(map(str, axes[:3])) + (", …" if len(axes) > 3 else "")
            if axes[0].named:
                places.append(f'"{clip(name)}" ({listed})')
                arguments[f"--dim {_quoted(f'{name}=1')}"] = None
                keys[f'"{clip(name)}": 1'] = None
            else:
                places.append(listed)
                self._suggest_shape(axes[0].input, arguments, keys)
        for name in self._unranked:
            places.append(f'all of input "{clip(name)}", whose rank is not declared')
            arguments[f"--shape {_quoted(f'{name}=1,3,224,224')}"] = None
            keys[f'"{clip(name)}": (1, 3, 224, 224)'] = None
        more = f", and {len(places) - _MAX_SHOWN} more" if len(places) > _MAX_SHOWN else ""
        count = "1 dimension has" if len(places) == 1 else f"{len(places)} dimensions have"
        return DimensionError(
            f"{count} no size: {', '.join(places[:_MAX_SHOWN])}{more}",
            help=f"bind them, for example with {' '.join(list(arguments)[:_MAX_SHOWN])}, "
            f"or in Python with dims={{{', '.join(list(keys)[:_MAX_SHOWN])}}}",
        )

    def _suggest_shape(self, name: str, arguments: dict[str, None], keys: dict[str, None]) -> None:
        """An example of the whole shape: declared sizes, 1 for the batch, 224 for the rest."""
        sizes: list[str] = []
        for axis, entry in enumerate(self._shapes[name]):
            value = entry if isinstance(entry, int) else self._resolve(entry)[1]
            sizes.append(str(value) if isinstance(value, int) else "1" if axis == 0 else "224")
        arguments[f"--shape {_quoted(f'{name}={chr(44).join(sizes)}')}"] = None
        comma = "," if len(sizes) == 1 else ""
        keys[f'"{clip(name)}": ({", ".join(sizes)}{comma})'] = None


def _as_shape(
    name: str, binding: Binding, value: ValueInfo | None, is_symbol: bool
) -> Sequence[int | str | None] | None:
    """The binding as a whole shape, when ``name`` is an input's and it cannot mean a symbol.

    A pair given for a name that is both an input's and a symbol's is a shape when the input has
    two axes.
    """
    if value is None or not isinstance(binding, tuple):
        if value is not None and not is_symbol:
            raise DimensionError(
                f'"{clip(name)}" is an input, which needs a whole shape, not {_shown(binding)}',
                help=f'dims={{"{clip(name)}": (1, 3, 224, 224)}}',
            )
        return None
    if is_symbol and len(value.type.shape or ()) != len(binding):
        return None
    entries = list(binding)
    for entry in entries:
        if entry is not None and not isinstance(entry, str):
            _size(name, entry)
    return entries


def _plain(binding: Any) -> Any:
    """A binding with integers of any kind (NumPy's too) as Python's, and lists as tuples."""
    if isinstance(binding, (list, tuple)):
        return tuple(_plain(entry) for entry in binding)
    return int(binding) if hasattr(binding, "__index__") and _is_int(binding) else binding


def _size(name: str, value: object) -> Size:
    """A size or a range, checked; an empty range is one size."""
    what = f'dimension "{clip(name)}"'
    if isinstance(value, int) and _is_int(value):
        if not 0 <= value < MAX_DIM:
            raise DimensionError(f"{what} cannot be {value}")
        return value
    if isinstance(value, tuple) and len(value) == 2 and all(map(_is_int, value)):
        low, high = value
        if not 0 <= low <= high < MAX_DIM:
            raise DimensionError(f"{what} cannot range from {low} to {high}")
        return low if low == high else (low, high)
    raise DimensionError(
        f"{what} is bound to {_shown(value)}", help="give a size, or a range (low, high)"
    )


def _is_int(value: object) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)


def _shown(value: object) -> str:
    return clip(repr(value))


def _quoted(argument: str) -> str:
    """The argument as a shell takes it."""
    import shlex  # only on the error path

    return shlex.quote(clip(argument))

"""Printing modules.

The text is canonical: equal modules print equally.  Values keep their name hints where these
are identifiers and unique, and are numbered otherwise.  Constants of up to
:data:`MAX_INLINE` elements are printed; larger ones are named by digest (``blob``), and their
bytes follow in a ``resources`` section when ``embed`` is asked for.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator

import numpy as np

from ..attributes import AttributeValue
from ..constants import Constant
from ..core import Block, Function, Module, Op, Value
from ..dims import quote_symbol
from ..dtypes import DType, Kind
from ..locations import Location

MAX_INLINE = 16
MAX_HINT = 64
_UNSAFE = re.compile(r"[^A-Za-z0-9_.$-]")
INDENT = "  "


def to_text(module: Module, *, embed: bool = False) -> str:
    """The text of a module.  ``embed`` adds the bytes of large constants: self-contained text."""
    return "\n".join(_module_lines(module, embed)) + "\n"


def op_text(op: Op) -> str:
    """The text of one op for messages; operands are named by their hints."""
    names = _Names()
    return "\n".join(_op_lines(op, names, ""))


def string_text(text: str) -> str:
    """A quoted string; the parser gives back exactly ``text``."""
    return json.dumps(text)


class _Names:
    """Unique printable names for values, in order of first appearance."""

    def __init__(self) -> None:
        self._names: dict[Value, str] = {}
        self._taken: set[str] = set()
        self._next = 0

    def __call__(self, value: Value) -> str:
        name = self._names.get(value)
        if name is None:
            name = self._names[value] = self._new(value.name)
        return f"%{name}"

    def _new(self, hint: str | None) -> str:
        base = _UNSAFE.sub("_", hint or "")[:MAX_HINT]
        if not base or base.isdigit():
            while str(self._next) in self._taken:
                self._next += 1
            name = str(self._next)
            self._next += 1
        else:
            name, serial = base, 0
            while name in self._taken:
                serial += 1
                name = f"{base}_{serial}"
        self._taken.add(name)
        return name


def _module_lines(module: Module, embed: bool) -> Iterator[str]:
    yield f"module {string_text(module.name)} {{"
    if module.symbols:
        ranges = [
            f"{quote_symbol(name)} = {low}..{high}"
            for name, (low, high) in sorted(module.symbols.items())
        ]
        yield f"{INDENT}symbols {{{', '.join(ranges)}}}"
    if module.metadata:
        entries = [
            f"{string_text(key)} = {string_text(value)}"
            for key, value in sorted(module.metadata.items())
        ]
        yield f"{INDENT}metadata {{{', '.join(entries)}}}"
    for function in module.functions.values():
        yield from _function_lines(function, INDENT)
    if embed:
        yield from _resource_lines(module)
    yield "}"


def _resource_lines(module: Module) -> Iterator[str]:
    blobs = {c.digest: c for c in module.constants() if constant_text(c).startswith("blob")}
    if not blobs:
        return
    yield f"{INDENT}resources {{"
    for position, (digest, constant) in enumerate(sorted(blobs.items()), start=1):
        data = base64.b64encode(np.ascontiguousarray(constant.array).tobytes()).decode()
        comma = "," if position < len(blobs) else ""
        yield f'{INDENT}{INDENT}"{digest}": "{data}"{comma}'
    yield f"{INDENT}}}"


def _function_lines(function: Function, indent: str) -> Iterator[str]:
    names = _Names()
    arguments = []
    for value, name in zip(function.args, function.arg_names):
        printed = names(value)
        plain = printed == f"%{name}" and not name.isdigit()
        exact = "" if plain else f" {string_text(name)}"
        arguments.append(f"{printed}{exact}: {value.type}")
    results = [
        f"{string_text(name)}: {value.type}"
        for name, value in zip(function.result_names, function.results)
    ]
    header = f"func @{function.name}({', '.join(arguments)}) -> ({', '.join(results)})"
    yield f"{indent}{header} {{"
    yield from _block_lines(function.body, names, indent + INDENT)
    yield f"{indent}}}"


def _block_lines(block: Block, names: _Names, indent: str) -> Iterator[str]:
    for op in block:
        yield from _op_lines(op, names, indent)


def _op_lines(op: Op, names: _Names, indent: str) -> Iterator[str]:
    operands = ["_" if value is None else names(value) for value in op.operands]
    head = f"{op.name}({', '.join(operands)})"
    if op.results:
        head = f"{', '.join(map(names, op.results))} = {head}"
    attributes = [
        f"{name} = {_attribute(op.attributes[name])}"
        for name, spec in op.opdef.attributes.items()
        if _differs(op.attributes[name], spec.default)
    ]
    if attributes:
        head += f" {{{', '.join(attributes)}}}"
    tail = f" : {', '.join(str(v.type) for v in op.results)}" if op.results else ""
    tail += _location(op.location)
    if not op.regions:
        yield f"{indent}{head}{tail}"
        return
    for position, region in enumerate(op.regions):
        arguments = ", ".join(f"{names(arg)}: {arg.type}" for arg in region.args)
        opening = f"{indent}{head}" if position == 0 else f"{indent}}}"
        yield f"{opening} region({arguments}) {{"
        yield from _block_lines(region, names, indent + INDENT)
    yield f"{indent}}}{tail}"


def _differs(value: AttributeValue, default: object) -> bool:
    # -0.0 == 0.0 and 1 == True, but they are not the same attribute.
    return repr(value) != repr(default)


def _location(location: Location) -> str:
    if not location:
        return ""
    sources = [
        string_text(s.name) + (f": {string_text(s.op_type)}" if s.op_type else "")
        for s in location.sources
    ]
    return f" loc({', '.join(sources)})"


def _attribute(value: AttributeValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return string_text(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_attribute, value))}]"
    if isinstance(value, Constant):
        return constant_text(value)
    return str(value)


def _is_inline(constant: Constant) -> bool:
    if constant.size > MAX_INLINE or constant.dtype.kind is Kind.COMPLEX:
        return False
    return not _has_odd_nan(constant)


def _has_odd_nan(constant: Constant) -> bool:
    """Whether a NaN carries other bits than the one the parser would make."""
    if not constant.dtype.is_float:
        return False
    flat = constant.array.reshape(-1)
    plain = np.array(float("nan")).astype(constant.dtype.numpy).tobytes()
    return any(np.asarray(x).tobytes() != plain for x in flat[np.isnan(flat)])


def constant_text(constant: Constant) -> str:
    """A constant as an attribute value; unresolved ones and large ones are named by digest."""
    type_ = f"{constant.dtype}[{', '.join(map(str, constant.shape))}]"
    if not constant.is_resolved:
        return f'blob<{type_}, "{constant.digest}">'
    if _is_splat(constant):
        return f"splat<{type_}, {_number(constant.array.reshape(-1)[0], constant.dtype)}>"
    if not _is_inline(constant):
        return f'blob<{type_}, "{constant.digest}">'
    numbers = [_number(x, constant.dtype) for x in constant.array.reshape(-1)]
    return f"dense<{type_}, [{', '.join(numbers)}]>"


def _is_splat(constant: Constant) -> bool:
    """Whether there are several elements, all with the same (printable) bits."""
    if constant.size < 2 or constant.dtype.kind is Kind.COMPLEX:
        return False
    bits = np.ascontiguousarray(constant.array).reshape(-1).view(f"V{constant.dtype.bytes}")
    first = constant.array.reshape(-1)[:1]
    return bool((bits == bits[0]).all()) and _is_inline(Constant(first))


def _number(value: np.generic, dtype: DType) -> str:
    if dtype is DType.BOOL:
        return "true" if value else "false"
    if dtype.is_integer:
        return str(int(value))
    # str() of NumPy's own floats is the shortest text that reads back exactly.
    text = str(value) if dtype.bits >= 32 else repr(float(value))
    return text if re.search(r"[.en]", text) else f"{text}.0"

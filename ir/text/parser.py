"""Parsing modules.

Lark reads the text (grammar.lark) into a tree; this module turns the tree into IR with the
builder.  Types after ``:`` may be left out: they are inferred; where they are given they must
agree with inference up to layout.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NoReturn

import numpy as np
from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from .. import dims
from ..attributes import DTYPE
from ..constants import Array, Constant
from ..core import Block, Function, Module, Op, Value
from ..dims import Dim
from ..dtypes import BY_TEXT, DType
from ..errors import Error, ParseError
from ..locations import UNKNOWN, Location, Source
from ..opdef import OpDef, lookup
from ..types import Encoding, Layout, Quantized, Sparse, TensorType

Node = Tree[Token]


@cache
def _lark() -> Lark:
    grammar = files(__package__).joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(
        grammar,
        parser="lalr",
        start=["start", "dim"],
        propagate_positions=True,
        maybe_placeholders=False,
    )


def parse_dim(text: str) -> Dim:
    """The dimension that ``text`` describes: ``32*h``, ``floordiv(n, 2) + 1``.

    Raises:
        ParseError: it is none.
    """
    if not text.strip():
        raise ParseError("there is no dimension", line=1, column=1)
    try:
        tree = _lark().parse(text, start="dim")
    except UnexpectedInput as error:
        _syntax_error(error, text)
    return _dim(tree)


def parse(text: str, constants: Mapping[str, Array] | None = None) -> Module:
    """The module that ``text`` describes.

    ``constants`` gives the data of ``blob`` constants by digest.  Data embedded in the text and
    data of constants alive in this process are found without; a blob found nowhere parses, and
    raises only when its data is looked at.

    Raises:
        ParseError: syntax, unknown op or value, or a declared type that is not the inferred one.
    """
    try:
        tree = _lark().parse(text, start="start")
    except UnexpectedInput as error:
        _syntax_error(error, text)
    return _ModuleReader(constants or {}).module(_only(tree))


def _syntax_error(error: UnexpectedInput, text: str) -> NoReturn:
    line, column = max(error.line, 1), max(error.column, 1)
    if isinstance(error, UnexpectedToken):
        got = "the end of the text" if error.token.type == "$END" else f"{str(error.token)!r}"
        expected = sorted(error.accepts or error.expected)
    else:
        assert isinstance(error, UnexpectedCharacters)
        got = f"character {error.char!r}"
        expected = sorted(error.allowed or ())
    if got == "the end of the text":
        line, column = text.count("\n") + 1, len(text.rpartition("\n")[2]) + 1
    # Lines as lark counts them: splitlines() drops a last empty one and splits at more characters.
    lines = text.split("\n")
    source = lines[min(line, len(lines)) - 1].strip()
    raise ParseError(
        f"unexpected {got} at line {line}, column {column}",
        line=line,
        column=column,
        at=f"line {line}: {source[:100]}",
        help=f"expected one of: {', '.join(expected)}",
    ) from None


def _only(tree: Node) -> Node:
    child = tree.children[0]
    assert isinstance(child, Tree)
    return child


def _trees(tree: Node, data: str | None = None) -> list[Node]:
    return [c for c in tree.children if isinstance(c, Tree) and data in (None, c.data)]


def _tokens(tree: Node, kind: str | None = None) -> list[str]:
    return [str(c) for c in tree.children if isinstance(c, Token) and kind in (None, c.type)]


def _string(tree: Node) -> str:
    try:
        value = json.loads(_tokens(tree)[0])
    except json.JSONDecodeError as error:
        _fail(tree, f"bad string: {error.msg}")
    assert isinstance(value, str)
    return value


def _fail(tree: Node, message: str, help: str = "") -> NoReturn:
    line, column = tree.meta.line, tree.meta.column
    raise ParseError(
        message, line=line, column=column, at=f"line {line}, column {column}", help=help
    )


class _ModuleReader:
    """Reads one module; holds what names refer to."""

    def __init__(self, constants: Mapping[str, Array]) -> None:
        self._data = dict(constants)

    def module(self, tree: Node) -> Module:
        for section in _trees(tree, "resources"):
            for resource in _trees(section, "resource"):
                self._resource(resource)
        module = Module(_string(_trees(tree, "string")[0]))
        for section in _trees(tree, "symbols"):
            for item in _trees(section):
                low, high = map(int, _tokens(item, "INT"))
                module.symbols[_symbol_name(_trees(item)[0])] = (low, high)
        for section in _trees(tree, "metadata"):
            for item in _trees(section):
                key, value = map(_string, _trees(item))
                module.metadata[key] = value
        for function in _trees(tree, "function"):
            self._function(module, function)
        return module

    def _resource(self, tree: Node) -> None:
        digest, data = map(_string, _trees(tree))
        try:
            raw = base64.b64decode(data, validate=True)
        except binascii.Error:
            _fail(tree, f"resource {digest} is not base64")
        self._data[digest] = np.frombuffer(raw, np.uint8)

    def _function(self, module: Module, tree: Node) -> None:
        name = _tokens(tree, "FUNCTION")[0][1:]
        if name in module.functions:
            _fail(tree, f"function @{name} is defined twice")
        arguments, results, body = _trees(tree)
        result_names = [_string(_trees(r)[0]) for r in _trees(results)]
        block, values = self._arguments(arguments)
        self._body(block, values, body, "core.return")
        function = module.add(Function(name, block, result_names))
        declared = [_type(_trees(r)[1]) for r in _trees(results)]
        actual = [value.type for value in function.results]
        if declared != actual:
            shown = ", ".join(map(str, actual))
            _fail(results, f"the results of @{name} are declared otherwise", f"it returns {shown}")

    def _arguments(self, tree: Node) -> tuple[Block, dict[str, Value]]:
        types, names, keys = [], [], []
        for argument in _trees(tree):
            key = _tokens(argument, "VALUE")[0][1:]
            exact = _trees(argument, "string")
            hint = None if key.isdigit() else key
            names.append(_string(exact[0]) if exact else hint)
            types.append(_type(_trees(argument, "type")[0]))
            if key in keys:
                _fail(argument, f"%{key} is defined twice")
            keys.append(key)
        block = Block(types, names)
        return block, dict(zip(keys, block.args))

    def _body(self, block: Block, values: dict[str, Value], tree: Node, end: str) -> None:
        for op in _trees(tree):
            self._op(block, values, op)
        if block.last is None or block.last.name != end:
            _fail(tree, f"the block does not end in {end}")

    def _op(self, block: Block, values: dict[str, Value], tree: Node) -> None:
        name = _tokens(tree, "OPNAME")[0]
        parts = {part.data: part for part in _trees(tree)}
        try:
            opdef = lookup(name)
        except Error as error:
            _fail(tree, error.message, error.help)
        operands = [self._operand(o, values) for o in _trees(parts["operands"])]
        regions = []
        for region in _trees(tree, "region"):
            arguments, body = _trees(region)
            inner, inner_values = self._arguments(arguments)
            self._body(inner, inner_values, body, "core.yield")
            regions.append(inner)
        attributes = self._attributes(opdef, parts.get("attributes"))
        declared = [_type(t) for t in _trees(parts["types"])] if "types" in parts else None
        location = _location(parts["location"]) if "location" in parts else UNKNOWN
        defined = [v[1:] for v in _tokens(parts["defined"])] if "defined" in parts else []
        hints = [None if key.isdigit() else key for key in defined]
        try:
            complete = opdef.complete(attributes)
            types = opdef.result_types(
                complete, [None if v is None else v.type for v in operands], regions
            )
        except Error as error:
            _fail(tree, error.message, error.help)
        if declared is not None:
            _check_declared(tree, declared, types)
        op = Op(opdef, operands, complete, declared or types, regions, location, hints)
        if len(defined) not in (0, len(op.results)) or (op.results and not defined):
            _fail(tree, f"{name} has {len(op.results)} results, {len(defined)} are named")
        block._insert(op, None)
        for key, value in zip(defined, op.results):
            if key in values:
                _fail(tree, f"%{key} is defined twice")
            values[key] = value

    def _operand(self, tree: Node, values: dict[str, Value]) -> Value | None:
        if tree.data == "absent":
            return None
        key = _tokens(tree)[0][1:]
        if key not in values:
            _fail(tree, f"%{key} is not defined here", "regions see their own arguments only")
        return values[key]

    def _attributes(self, opdef: OpDef, tree: Node | None) -> dict[str, object]:
        attributes: dict[str, object] = {}
        for item in _trees(tree) if tree is not None else ():
            name = _tokens(item, "NAME")[0]
            spec = opdef.attributes.get(name)
            if name in attributes:
                _fail(item, f"attribute {name} is given twice")
            value = item.children[1]
            assert isinstance(value, Tree)
            is_dtype = spec is not None and spec.kind is DTYPE
            attributes[name] = _dtype(value) if is_dtype else self._value(value)
        return attributes

    def _value(self, tree: Node) -> object:
        if tree.data == "list":
            return tuple(self._value(item) for item in _trees(tree))
        if tree.data == "string":
            return _string(tree)
        if tree.data in ("true", "false", "float"):
            return _number(tree)
        if tree.data in ("quantized", "sparse"):
            return _encoding(tree)
        if tree.data == "layout":
            return _layout(tree)
        if tree.data in ("dense", "splat", "blob"):
            return self._constant(tree)
        return _dim(tree)

    def _constant(self, tree: Node) -> Constant:
        dtype = _dtype_named(tree, _tokens(tree, "NAME")[0])
        shape = tuple(_dim(d) for d in _trees(_trees(tree, "shape")[0]))
        if not all(isinstance(dim, int) for dim in shape):
            _fail(tree, "a constant has a symbolic shape")
        static = TensorType(shape, dtype).static_shape
        rest = _trees(tree)[1:]
        if tree.data == "blob":
            return self._blob(tree, dtype, static, _string(rest[0]))
        numbers = [_number(item) for item in rest]
        if tree.data == "splat":
            return Constant(np.broadcast_to(_array(numbers, dtype).reshape(()), static).copy())
        if len(numbers) != np.prod(static, dtype=np.int64):
            _fail(tree, f"{len(numbers)} numbers for a constant of shape {list(static)}")
        return Constant(_array(numbers, dtype).reshape(static))

    def _blob(self, tree: Node, dtype: DType, shape: tuple[int, ...], digest: str) -> Constant:
        data = self._data.get(digest)
        if data is None:
            return Constant.unresolved(dtype, shape, digest)
        try:
            array = np.ascontiguousarray(data).view(dtype.numpy).reshape(shape)
        except (ValueError, TypeError):
            _fail(tree, f"the data of constant {digest} does not have its type and shape")
        constant = Constant(array)
        if constant.digest != digest:
            _fail(tree, f"the data of constant {digest} has the digest {constant.digest}")
        return constant


def _check_declared(tree: Node, declared: list[TensorType], inferred: Any) -> None:
    inferred = list(inferred)
    matches = len(declared) == len(inferred) and all(
        TensorType(d.shape, d.dtype, None, d.encoding)
        == TensorType(i.shape, i.dtype, None, i.encoding)
        for d, i in zip(declared, inferred)
    )
    if not matches:
        shown = ", ".join(map(str, inferred)) or "nothing"
        _fail(tree, f"declared as {', '.join(map(str, declared))}", f"inferred: {shown}")


def _array(numbers: list[Any], dtype: DType) -> Array:
    carrier: Any = object
    if dtype is DType.BOOL or dtype.is_float:
        carrier = np.bool_ if dtype is DType.BOOL else np.float64
    elif dtype.is_integer:
        carrier = np.uint64 if dtype is DType.U64 else np.int64
    return np.array(numbers, carrier).astype(dtype.numpy)


def _number(tree: Node) -> float | int | bool:
    if tree.data in ("true", "false"):
        return tree.data == "true"
    if tree.data == "float":
        return float(_tokens(tree)[0])
    return _signed(tree)


def _signed(tree: Node) -> int:
    value = int(_tokens(tree, "INT")[0])
    return -value if _tokens(tree, "MINUS") else value


def _dtype_named(tree: Node, name: str) -> DType:
    if name not in BY_TEXT:
        _fail(tree, f"unknown element type {name}", f"known: {', '.join(BY_TEXT)}")
    return BY_TEXT[name]


def _dtype(tree: Node) -> DType:
    if tree.data != "symbol":
        _fail(tree, "expected an element type")
    return _dtype_named(tree, _tokens(tree)[0])


def _symbol_name(tree: Node) -> str:
    text = _tokens(tree)[0]
    if text.startswith("`"):
        return text[1:-1].encode("ascii", "backslashreplace").decode("unicode_escape")
    return text


def _dim(tree: Node) -> Dim:
    if tree.data == "integer":
        return int(_tokens(tree)[0])
    if tree.data == "symbol":
        return dims.symbol(_symbol_name(tree))
    operands = [_dim(child) for child in _trees(tree)]
    if tree.data == "negate":
        return -operands[0]
    if tree.data == "call":
        function = _tokens(tree, "FUNCTION_NAME")[0]
        if function in ("floordiv", "mod") and len(operands) != 2:
            _fail(tree, f"{function} takes two dimensions, got {len(operands)}")
        return dims.apply_function(function, operands)
    a, b = operands
    if tree.data == "add":
        return a + b
    return a - b if tree.data == "subtract" else a * b


def _type(tree: Node) -> TensorType:
    dtype = _dtype_named(tree, _tokens(tree, "NAME")[0])
    shape = tuple(_dim(d) for d in _trees(_trees(tree, "shape")[0]))
    layouts = [_layout(t) for t in _trees(tree, "layout")]
    encodings = [_encoding(t) for t in _trees(tree) if t.data in ("quantized", "sparse")]
    try:
        type_ = TensorType(
            shape,
            dtype,
            layouts[0] if layouts else None,
            encodings[0] if encodings else None,
        )
    except Error as error:
        _fail(tree, error.message)
    if problem := type_.problem():
        _fail(tree, problem)
    return type_


def _layout(tree: Node) -> Layout:
    order, tiles = [], []
    for part in _trees(tree):
        numbers = [int(t) for t in _tokens(part, "INT")]
        if len(numbers) == 1:
            order.append(numbers[0])
        else:
            tiles.append((numbers[0], numbers[1]))
    return Layout(tuple(order), tuple(tiles))


def _encoding(tree: Node) -> Encoding:
    if tree.data == "sparse":
        *block, kept = map(int, _tokens(tree, "INT"))
        return Sparse(_tokens(tree, "NAME")[0], tuple(block), kept)
    scales = tuple(float(t) for t in _tokens(_trees(tree, "scales")[0]))
    points = tuple(_signed(t) for t in _trees(_trees(tree, "points")[0]))
    if len(points) == 1:
        points *= len(scales)
    numbers = [int(t) for t in _tokens(tree, "INT")]
    keywords = _keywords(tree)
    values = dict(zip(keywords, numbers))
    names = _tokens(tree, "NAME")
    dtype = _dtype_named(tree, names[0]) if names else DType.F32
    return Quantized(scales, points, values.get("axis"), values.get("block", 0), dtype)


def _keywords(tree: Node) -> list[str]:
    return [str(t) for t in tree.children if isinstance(t, Token) and t.type in ("AXIS", "BLOCK")]


def _location(tree: Node) -> Location:
    sources = []
    for source in _trees(tree):
        texts = [_string(t) for t in _trees(source)]
        sources.append(Source(texts[0], texts[1] if len(texts) > 1 else ""))
    return Location(tuple(sources))

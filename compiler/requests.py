"""What users write as text: sizes, dimensions, shapes, options, parsed with clear refusals."""

from __future__ import annotations

import re
from collections.abc import Iterable

from burnish.ir.errors import UsageError, clip

DimBinding = int | str | tuple[int | str, ...]
"""What a name in ``dims`` is bound to: a size, an expression, an inclusive range, or an input's
whole shape."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([sm]?)")
_INTEGER = re.compile(r"\d+")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def parse_size(value: int | str, what: str = "a size") -> int:
    """Bytes: an integer, or text such as ``"64K"``, ``"1.5M"`` or ``"2048"`` (K is 1024).

    Raises:
        UsageError: ``value`` is negative or no size; the message names ``what``.
    """
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise UsageError(f"{what} is {type(value).__name__}, but must be bytes or text like 64K")
    if isinstance(value, int):
        if value < 0:
            raise UsageError(f"{what} is {value}, but must not be negative")
        return value
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise UsageError(
            f'{what} is "{clip(value)}", which is no size',
            help="write bytes, or a number with K, M or G (of 1024), such as 64K or 1.5M",
        )
    return int(float(found[1]) * _UNITS[found[2].upper()])


def parse_seconds(value: str, what: str = "a time") -> float:
    """Seconds, from text such as ``"60s"``, ``"2m"``, ``"1.5"``.

    Raises:
        UsageError: ``value`` is no time, or none at all; the message names ``what``.
    """
    found = _TIME.fullmatch(value.strip())
    seconds = float(found[1]) * (60 if found[2] == "m" else 1) if found else 0.0
    if seconds <= 0:
        raise UsageError(
            f'{what} is "{clip(value)}", which is no time',
            help="write seconds or minutes, such as 60s or 2m",
        )
    return seconds


def show_size(count: int) -> str:
    """Bytes for people: ``512 B``, ``12.3 KiB``, ``4.00 MiB``."""
    if count < 1 << 10:
        return f"{count} B"
    for unit, size in (("KiB", 1 << 10), ("MiB", 1 << 20)):
        if count < size << 10:
            return f"{count / size:.4g} {unit}"
    return f"{count / (1 << 30):.4g} GiB"


def show_count(count: int) -> str:
    """A large count for people: ``999``, ``12.5 k``, ``3.4 M``, ``2.1 G``."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.4g} {unit}"
    return str(count)


def shorten(text: str, limit: int) -> str:
    """``text`` on one printable line of at most ``limit`` characters, the middle left out.

    Names of nodes differ at their ends more often than at their beginnings.
    """
    line = clip(text, max(len(text) * 10, limit))
    if len(line) <= limit:
        return line
    tail = (limit - 1) * 2 // 3
    return f"{line[: limit - 1 - tail]}…{line[-tail:]}"


def parse_dims(dims: Iterable[str], shapes: Iterable[str]) -> dict[str, DimBinding]:
    """``dims`` for :func:`burnish.compile` from ``name=4``, ``name=1..512``, ``name=32*h``,
    ``input=1,3,8,8``, ``input=1,3,32*h,n``.

    Raises:
        UsageError: malformed text, or a name bound twice.
    """
    bindings: dict[str, DimBinding] = {}
    for texts, parse in ((dims, _dim), (shapes, _shape)):
        for text in texts:
            name, value = parse(text)
            if name in bindings:
                raise UsageError(f'"{clip(name)}" is bound twice')
            bindings[name] = value
    return bindings


def _dim(text: str) -> tuple[str, DimBinding]:
    name, value = _split(text, "--dim batch=1 or --dim seq=1..512")
    if _INTEGER.fullmatch(value):
        return name, int(value)
    found = _RANGE.fullmatch(value)
    if found is None:
        if _is_expression(value):
            return name, value
        raise UsageError(
            f'dimension "{clip(name)}" is bound to "{clip(value)}"',
            help="bind it to a size, an inclusive range or an expression: --dim batch=1, "
            "--dim seq=1..512, --dim height=32*h",
        )
    low, high = int(found[1]), int(found[2])
    if low > high:
        raise UsageError(f'the range {low}..{high} of dimension "{clip(name)}" is empty')
    return name, (low, high)


def _shape(text: str) -> tuple[str, DimBinding]:
    name, value = _split(text, "--shape input=1,3,224,224")
    sizes = [part.strip() for part in value.split(",")] if value.strip() else []
    if not all(_INTEGER.fullmatch(size) or _is_expression(size) for size in sizes):
        raise UsageError(
            f'the shape of input "{clip(name)}" is "{clip(value)}"',
            help="write its sizes, or expressions over names, with commas: "
            "--shape input=1,3,224,224 or --shape input=1,3,32*h,n",
        )
    return name, tuple(int(size) if _INTEGER.fullmatch(size) else size for size in sizes)


def _is_expression(text: str) -> bool:
    """Whether ``text`` is a dimension that depends on symbols, such as ``32*h``."""
    from burnish.ir import DimExpr, parse_dim
    from burnish.ir.errors import ParseError

    try:
        return isinstance(parse_dim(text), DimExpr)
    except ParseError:
        return False


def parse_layouts(texts: Iterable[str]) -> dict[str, str]:
    """``layouts`` for :func:`burnish.compile` from ``input=NHWC``.

    Raises:
        UsageError: malformed text, or a name given twice.
    """
    layouts: dict[str, str] = {}
    for text in texts:
        name, layout = _split(text, "--layout image=NHWC")
        if name in layouts:
            raise UsageError(f'the layout of "{clip(name)}" is given twice')
        layouts[name] = layout
    return layouts


def _split(text: str, example: str) -> tuple[str, str]:
    # Names of a model may hold "="; what they are bound to never does.
    name, equals, value = text.rpartition("=")
    if not equals or not name:
        raise UsageError(f'"{clip(text)}" is not of the form name=value', help=f"write {example}")
    return name, value.strip()


def parse_options(texts: Iterable[str]) -> dict[str, str]:
    """Options of a target from ``key=value``; their values are text, which each option parses.

    Raises:
        UsageError: malformed text, or an option given twice.
    """
    options: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key:
            raise UsageError(
                f'option "{clip(text)}" is not of the form key=value',
                help="`burnish targets` lists the options of each target",
            )
        if key in options:
            raise UsageError(f'option "{clip(key)}" is given twice')
        options[key] = value.strip()
    return options

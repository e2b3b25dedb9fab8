"""Frames of a signal, and the fast Fourier transform."""

from __future__ import annotations

import math
from functools import reduce

from burnish.ir import DType
from burnish.ir.dims import product
from burnish.ir.ops.signal import stages

from ..code import Expr, Index
from ..elements import literal
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register
from .strided import View, copy, static
from .unit import Unit
from .windows import minimum

MAX_POINTS = 1 << 16
"""Longer transforms are refused: the table of the roots of unity grows with the length."""

UNROLLED = 7
"""Transforms of up to so many points are written out; longer prime factors take a loop."""


@register
class Frames(KernelFamily):
    """One run of the signal per frame: a view in which frames overlap."""

    name = "frames"
    ops = ("signal.frames",)

    def emit(self, k: KernelBuilder) -> None:
        x = k.operand("x")
        batch, count, length, after = (*k.result.shape[:3], product(x.shape[2:]))
        k.require(length, x.shape[1])
        strides = (x.shape[1] * after, k.attributes.step * after, 1)
        target = View.of(k.result, (batch, count, length * after))
        copy(k, target, View(x, 0, target.shape, strides))


@register
class FastFourierTransform(KernelFamily):
    """Stockham's algorithm over the prime factors of the length (fours first).

    One pass per factor, each from one buffer to another, so that nothing has to be reordered.
    n points cost n times the sum of the factors: a length that is prime is transformed directly.
    """

    name = "fft"
    ops = ("signal.dft",)

    def refusal(self, unit: Unit) -> str:
        length: int = unit.main.attributes.length
        return f"a transform of {length} points" if length > MAX_POINTS else ""

    def emit(self, k: KernelBuilder) -> None:
        x, n = k.operand("x"), k.attributes.length
        work = x.dtype.compute
        roots = _roots_of_unity(k, n, work)
        spaces = [_Complex(k, name, work, n) for name in ("a", "b")]
        lines = product(x.shape[:-2])
        x = x.reshaped((lines, *x.shape[-2:]))
        y = k.result.reshaped((lines, *k.result.shape[-2:]))
        (parts,) = static(y.shape[2:])
        with k.loop("line", lines) as line:
            _load(k, x, line, spaces[0])
            for radix, blocks, stride in stages(n):
                _pass(k, spaces[0], spaces[1], roots, (radix, blocks, stride))
                spaces.reverse()
            if x.shape[-1] == 1 and n % 2 == 0:
                k.comment("A real signal has a real part only at half the sampling rate.")
                k.write(spaces[0].parts[1], [n // 2], k.literal(0.0, work))
            scale = 1.0 / n if k.attributes.inverse else 1.0
            with k.loop("i", y.shape[-2]) as i:
                for part, buffer in enumerate(spaces[0].parts[:parts]):
                    value = k.load(buffer, [i])
                    if scale != 1.0:
                        value = k.value("x * s", work, x=value, s=k.literal(scale, work))
                    k.write(y, [line, i, part], value)
            if lines != 1:
                k.statement(f"{k.helper('fence')}()")


class _Complex:
    """Working memory for ``n`` complex numbers: ``parts`` are the real and the imaginary ones."""

    def __init__(self, k: KernelBuilder, name: str, work: DType, n: int) -> None:
        self.parts = [k.local(f"{name}_{part}", work, (n,)) for part in ("real", "imaginary")]


def _roots_of_unity(k: KernelBuilder, n: int, work: DType) -> list[Buffer]:
    """Tables of the real and imaginary parts of exp(-+2 pi i j / n)."""
    sign = 1.0 if k.attributes.inverse else -1.0
    angles = [2 * math.pi * j / n for j in range(n)]
    tables = {
        "cosines": [math.cos(angle) for angle in angles],
        "sines": [sign * math.sin(angle) for angle in angles],
    }
    return [
        Buffer(k.table(name, work, [literal(v, work) for v in values]), (n,), work)
        for name, values in tables.items()
    ]


def _load(k: KernelBuilder, x: Buffer, line: Expr, to: _Complex) -> None:
    """The signal of one line: cut or padded to the length; completed where it is one-sided."""
    n, work = k.attributes.length, x.dtype.compute
    (parts,) = static(x.shape[2:])
    mirrored = k.attributes.onesided and k.attributes.inverse
    most = n // 2 + 1 if mirrored else n
    given = k.let_index("given", minimum(most, x.shape[1]))
    zero = k.literal(0.0, work)
    for part, buffer in enumerate(to.parts):
        with k.loop("i", given) as i:
            present = part < parts
            k.write(buffer, [i], k.load(x, [line, i, part]) if present else zero)
        with k.loop("i", n, start=given) as i:
            k.write(buffer, [i], zero)
    if mirrored:
        k.comment("The other half is conjugate to the first.")
        with k.loop("i", n, start=n // 2 + 1) as i:
            real, imaginary = (k.load(buffer, [n - i]) for buffer in to.parts)
            k.write(to.parts[0], [i], real)
            k.write(to.parts[1], [i], k.value("-x", work, x=imaginary))


def _pass(
    k: KernelBuilder, x: _Complex, y: _Complex, roots: list[Buffer], shape: tuple[int, int, int]
) -> None:
    """One pass: transforms of ``radix`` points, turned by roots of unity.

    y[q + s(pj + r)] = w^(s j r) sum over t of x[q + s(j + t blocks)] w^(r t n / p), with s the
    stride, p the radix and w the first root of unity of n points.
    """
    radix, blocks, stride = shape
    k.comment(f"{blocks * stride} transforms of {radix} points.")
    if radix > UNROLLED:
        _long_pass(k, x, y, roots, shape)
        return
    work = roots[0].dtype
    with k.loop("j", blocks) as j:
        turns = [
            [k.let(name, work, k.load(table, [j * (r * stride)])) for r in range(1, radix)]
            for name, table in zip(("c", "s"), roots if blocks > 1 else ())
        ]
        with k.loop("q", stride) as q:
            points = [
                [
                    k.let(name, work, k.load(part, [(j + t * blocks) * stride + q]))
                    for name, part in zip(("u", "v"), x.parts)
                ]
                for t in range(radix)
            ]
            for r, point in enumerate(_butterfly(k, points, work)):
                turn = [table[r - 1] for table in turns if r]
                for part, value in zip(y.parts, _turned(k, point, turn, work)):
                    k.write(part, [(j * radix + r) * stride + q], value)


def _turned(k: KernelBuilder, point: list[Expr], root: list[Expr], work: DType) -> list[Expr]:
    """``point`` times a root of unity, if there is one."""
    if not root:
        return point
    names = {"u": point[0], "v": point[1], "c": root[0], "s": root[1]}
    return [k.value(text, work, **names) for text in _PRODUCT]


_PRODUCT = ("u * c - v * s", "u * s + v * c")
"""Real and imaginary part of (u + iv)(c + is)."""


def _butterfly(k: KernelBuilder, points: list[list[Expr]], work: DType) -> list[list[Expr]]:
    """The transform of a few points, as expressions; sums and differences are shared."""
    radix = len(points)

    def both(name: str, text: str, a: list[Expr], b: list[Expr]) -> list[Expr]:
        return [k.let(name, work, k.value(text, work, a=p, b=q)) for p, q in zip(a, b)]

    if radix == 2:
        return [both("w", "a + b", *points), both("w", "a - b", *points)]
    if radix == 4:
        even = [both("e", text, points[0], points[2]) for text in ("a + b", "a - b")]
        odd = [both("o", text, points[1], points[3]) for text in ("a + b", "a - b")]
        # A quarter turn exchanges the parts.
        real, imaginary = odd[1]
        negative = [imaginary, k.value("-x", work, x=real)]
        turned = [k.value("-x", work, x=imaginary), real] if k.attributes.inverse else negative
        return [
            both("w", text, even[r % 2], odd[0] if r % 2 == 0 else turned)
            for r, text in enumerate(("a + b", "a + b", "a - b", "a - b"))
        ]
    pairs = [(points[t], points[radix - t]) for t in range(1, radix // 2 + 1)]
    sums = [both("p", "a + b", *pair) for pair in pairs]
    differences = [both("m", "a - b", *pair) for pair in pairs]
    results = [[points[0][0], points[0][1]] for _ in range(radix)]
    for total in sums:
        results[0] = both("w", "a + b", results[0], total)
    for r in range(1, radix // 2 + 1):
        straight, crossed = _rotated(k, points[0], sums, differences, r, work)
        results[r] = both("w", "a + b", straight, crossed)
        results[radix - r] = both("w", "a - b", straight, crossed)
    return results


def _rotated(
    k: KernelBuilder,
    first: list[Expr],
    sums: list[list[Expr]],
    differences: list[list[Expr]],
    r: int,
    work: DType,
) -> tuple[list[Expr], list[Expr]]:
    """What the points of an odd radix add to frequency r, and what r and -r share but for sign."""
    radix = 2 * len(sums) + 1
    sign = 1.0 if k.attributes.inverse else -1.0
    straight, crossed = list(first), []
    for t, pair in enumerate(sums, 1):
        cosine = k.literal(math.cos(2 * math.pi * r * t / radix), work)
        straight = [k.value("a + c * x", work, a=a, c=cosine, x=x) for a, x in zip(straight, pair)]
    for part in (1, 0):
        terms = []
        for t, difference in enumerate(differences, 1):
            sine = k.literal(sign * math.sin(2 * math.pi * r * t / radix), work)
            terms.append(k.value("s * x", work, s=sine, x=difference[part]))
        total = reduce(lambda a, b: k.value("a + b", work, a=a, b=b), terms)
        crossed.append(total if part == 0 else k.value("-(x)", work, x=total))
    return (
        [k.let("a", work, value) for value in straight],
        [k.let("b", work, value) for value in crossed],
    )


def _long_pass(
    k: KernelBuilder, x: _Complex, y: _Complex, roots: list[Buffer], shape: tuple[int, int, int]
) -> None:
    """A pass of a large prime radix, with one root of unity per term.

    Its exponent, r (s j + t n / p), stays below 2 n.
    """
    radix, blocks, stride = shape
    n, work = radix * blocks * stride, roots[0].dtype
    with k.loops("j r", (blocks, radix)) as (j, r):
        target = k.let_index("target", (j * radix + r) * stride)
        for buffer in y.parts:
            with k.loop("q", stride) as q:
                k.write(buffer, [target + q], k.literal(0.0, work))
        turn = k.index_variable("turn", j * r * stride)
        with k.loop("t", radix) as t:
            root = [
                k.let(name, work, k.load(table, [turn])) for name, table in zip(("c", "s"), roots)
            ]
            source = k.let_index("source", (t * blocks + j) * stride)
            with k.loop("q", stride) as q:
                _accumulate(k, y, target + q, x, source + q, root)
            k.assign(turn, turn + r * (blocks * stride))
            with k.when(Expr(f"{turn} >= {n}")):
                k.assign(turn, turn - n)


def _accumulate(
    k: KernelBuilder, y: _Complex, at: Index, x: _Complex, place: Index, root: list[Expr]
) -> None:
    """Add an element times a root of unity."""
    real, imaginary = (k.load(buffer, [place]) for buffer in x.parts)
    names = {"u": real, "v": imaginary, "c": root[0], "s": root[1]}
    for buffer, product_text in zip(y.parts, _PRODUCT):
        value = k.value(f"a + ({product_text})", buffer.dtype, a=buffer.at([at]), **names)
        k.assign(buffer.at([at]), value)

"""When two results of one graph are the same.

The interpreter is the reference.  Integers and bools agree when they are equal, floats when they
are equal up to the rounding errors that the graph may show *at these inputs*.  How large those are
is measured, by discrete stochastic arithmetic (J. Vignes, "A stochastic arithmetic for reliable
scientific computation", 1993): the graph is run several times, and each op that may round
differently elsewhere is disturbed at random by as much as its error bound allows.  What differs
among such runs is not determined; the spread of the others, widened by :data:`SAFETY`, is the
tolerance.  So a graph that subtracts equal numbers, or compares rounded ones, excuses itself,
and nothing else does.

Error bounds, in units of the rounding error eps of the type an op computes in:

- a function of the C library is within :data:`LIBRARY` eps of the true value (glibc documents 2
  for f32 and f64; NumPy's vector code 4; both are approximations of the same);
- an op that sums n products in any order equals the exact op on operands that are off by n eps
  each (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1); n follows
  from the op's cost: its arithmetic per element of the result;
- results of types narrower than f32 may round to a neighbour: half a unit becomes one;
- everything else is exact, until passes change the algebra (``reassociated``): then each
  arithmetic operation counts.

Passes are checked by ``burnish.passes.trust.latitude``, which disturbs a module likewise and needs
none of the tables below: before and after a pass, one library computes, with one algorithm per op.
Here another library and other algorithms do, whose bounds, infinities and paddings are these
tables.  For two modules of the interpreter they find no more: of 349 random graphs in which one
value was off by 1e-5 to 0.1 of itself, the latitude of passes found 266, these bounds 258, in
several times the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from burnish.ir import Array, DType, Error, Module, Op, interpret
from burnish.ir import scalar as scalars
from burnish.ir.dims import DimExpr, plain_symbol
from burnish.ir.dims import evaluate as evaluate_dim
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.interpreter import Evaluation, bind_inputs, evaluate_definition

LIBRARY = 8
SAFETY = 4
RUNS = (4, 12, 48)
"""Disturbed runs: more are made only where fewer say that results differ."""

INEXACT = {
    "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh",
    "tanh", "asinh", "acosh", "atanh", "erf", "pow",
}  # fmt: skip
"""Scalar functions that the C library and NumPy round differently."""

ARITHMETIC = {"add", "sub", "mul", "div", "sqrt"}
"""Scalar functions that are exact up to their rounding, unless passes change the formula."""

EITHER_ZERO = {"min", "max"}
"""Of 0 and -0 these may give either."""

SUMMING = {
    "nn.conv", "nn.conv_transpose", "nn.matmul", "nn.average_pool", "nn.batch_norm",
    "nn.layer_norm", "nn.rms_norm", "nn.group_norm", "nn.lrn", "nn.resize", "nn.sample",
    "nn.region_align", "nn.rnn", "nn.gru", "nn.lstm", "nn.softmax", "nn.log_softmax",
    "nn.determinant", "signal.dft", "tensor.reduce", "tensor.cumulative_sum",
    "tensor.cumulative_product", "tensor.scatter_elements", "tensor.scatter_nd",
    "ml.tree_ensemble", "nn.attention", "nn.rotary_embedding", "nn.sparse_product",
}  # fmt: skip
"""Ops whose floats depend on the order of several operations."""

ROUNDS_TWICE = {"nn.softmax": 4, "nn.log_softmax": 4, "nn.batch_norm": 2}
"""Ops that round to a narrow element type more than once, and how often."""


PADDED = {"nn.conv", "nn.conv_transpose"}
"""Ops whose weights may meet padding, which counts as 0 or is left out: what infinity gives there
is open."""

COARSE = {"nn.resize"}
"""Ops that compute weights in f32, whatever the type of the data."""

SPREADING = {"nn.rnn", "nn.gru", "nn.lstm", "signal.dft"}
"""Ops whose elements are off by eps of the largest one: the first three add functions of the C
library, the transform adds products with tabulated numbers."""


MIXING = {"signal.dft", "nn.determinant", "nn.attention", "nn.gru", "nn.lstm"}
"""Ops that multiply an element by numbers that may be 0 (a gate does when it saturates), or leave
that out: what an infinity does to other elements depends on the algorithm."""


def rounding(dtype: DType) -> float:
    """The distance from 1 to the next number of a type of floats, halved."""
    return float(ml_dtypes.finfo(dtype.numpy).eps) / 2


@dataclass
class Difference:
    """Where a result is not the reference's."""

    name: str
    text: str


class _Disturbed:
    """Runs a module with every rounding error as large as its bound, in random directions."""

    def __init__(self, module: Module, seed: int, *, reassociated: bool) -> None:
        self.module = module
        self.rng = np.random.default_rng(seed)
        self.snaps = bool(self.rng.random() < 0.25)
        """Whether errors are such, this time, that numbers that are nearly equal become equal."""
        self.reassociated = reassociated
        self.binding: dict[str, int] = {}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        _, self.binding = bind_inputs(self.module.main, inputs, self.module.symbols)
        with np.errstate(all="ignore"):
            return interpret(self.module, inputs, around=self._op)

    def _op(self, op: Op, operands: Sequence[Array | None], evaluate: Evaluation) -> list[Array]:
        results = self._results(op, operands, evaluate)
        for value, array in zip(op.results, results):
            for size, dim in zip(array.shape, value.type.shape):
                if (name := plain_symbol(dim)) is not None:
                    self.binding[name] = size
        return results

    def _results(
        self, op: Op, operands: Sequence[Array | None], evaluate: Evaluation
    ) -> list[Array]:
        if op.regions:
            return evaluate(operands)
        if isinstance(op.opdef, ElementwiseOp):
            return [self._elementwise(op, op.opdef, operands, evaluate)]
        if op.name in SUMMING and op.results[0].type.dtype.is_float:
            return self._summing(op, operands)
        results = evaluate(operands)
        if op.name == "tensor.bitcast" and _is_float(operands[0]):
            # The bits of NaN are open; ~ changes them all.
            (x,), (y,) = operands, results
            assert x is not None
            raw = y.view(f"u{y.dtype.itemsize}")
            return [np.where(np.isnan(x), ~raw, raw).astype(raw.dtype).view(y.dtype)]
        if op.name.startswith("quant.") and self.reassociated:
            return [self._rounded(y, op.result.type.dtype, 2) for y in results]
        zeros = op.name in ("nn.max_pool", "nn.region_max_pool", "tensor.reduce")
        return [self._signs(y) for y in results] if zeros else results

    # Noise --------------------------------------------------------------------------------

    def _noise(self, x: Array, amount: float) -> Array:
        """x, a compute type, off by up to ``amount`` times itself."""
        if self.snaps:
            mantissa, exponent = np.frexp(x)
            return np.asarray(np.ldexp(_on_grid(mantissa, amount), exponent)).astype(x.dtype)
        factor = 1 + self.rng.uniform(-amount, amount, x.shape)
        smallest = float(np.finfo(x.dtype).smallest_subnormal)
        tiny = (np.abs(x) < 1e3 * smallest) & (x != 0)  # where eps says nothing
        moved = np.where(tiny, x + smallest * self.rng.integers(-2, 3, x.shape), x * factor)
        return np.asarray(moved).astype(x.dtype)

    def _shaken(self, y: Array, amount: float) -> Array:
        """y off by up to ``amount`` times its largest finite element, or 1."""
        largest = np.abs(y[np.isfinite(y)]).max(initial=1.0)
        if self.snaps:
            return np.asarray(largest * _on_grid(y / largest, amount)).astype(y.dtype)
        return np.asarray(y + largest * self.rng.uniform(-amount, amount, y.shape)).astype(y.dtype)

    def _signs(self, x: Array) -> Array:
        """x, its zeros of any sign."""
        if x.dtype.kind == "f" or (DType.from_numpy(x.dtype).is_float):
            flip = (x == 0) & (self.rng.random(x.shape) < 0.5)
            return np.where(flip, -x, x).astype(x.dtype)
        return x

    def _rounded(self, y: Array, dtype: DType, times: int = 1) -> Array:
        """A result rounded to its type, where the number before may have been another."""
        if not dtype.is_float:
            return scalars.convert(y, dtype)
        if y.dtype.itemsize < 4:
            y = y.astype(np.float32)
        if dtype.bits < 32:
            y = self._noise(y, times * rounding(dtype))
        return self._signs(scalars.convert(y, dtype))

    def _elementwise(
        self,
        op: Op,
        opdef: ElementwiseOp,
        operands: Sequence[Array | None],
        evaluate: Evaluation,
    ) -> Array:
        arrays = [x for x in operands if x is not None]
        dtypes = [DType.from_numpy(x.dtype) for x in arrays]
        work = opdef.work_dtype(dtypes).compute
        functions = _functions(opdef.expression)
        rounds = functions & INEXACT or (self.reassociated and functions & ARITHMETIC)
        if not work.is_float or not (rounds or functions & EITHER_ZERO or self.reassociated):
            return evaluate(operands)[0]
        values: dict[str, Any] = {
            k: v for k, v in op.attributes.items() if isinstance(v, (bool, int, float))
        }
        for name, x, d in zip(opdef.operands, arrays, dtypes):
            values[name] = x.astype(d.compute.numpy) if d.compute is not d else x
        y = np.asarray(self._expression(opdef.expression, values, work.numpy))
        y = np.broadcast_to(y, np.broadcast_shapes(*(x.shape for x in arrays)))
        to = opdef.result_dtype(op.attributes, dtypes)
        inexact = bool(functions & (INEXACT | ARITHMETIC)) and (rounds or self.reassociated)
        if y.dtype.kind == "f" and to.is_float and inexact:
            return self._rounded(y, to)
        return scalars.convert(y, to)

    def _expression(self, e: scalars.Expr, values: Mapping[str, Any], dtype: np.dtype[Any]) -> Any:
        if isinstance(e, scalars.Var):
            value = values[e.name]
            return value if isinstance(value, np.ndarray) else _typed(value, dtype)
        if isinstance(e, scalars.Literal):
            return _typed(e.value, dtype)
        args = [self._expression(arg, values, dtype) for arg in e.args]
        y = np.asarray(scalars.PRIMITIVES[e.function].numpy(*args))
        if y.dtype.kind != "f":
            return y
        eps = float(np.finfo(y.dtype).eps) / 2
        if e.function in INEXACT:
            y = self._noise(y, LIBRARY * eps)
        elif self.reassociated and e.function in ARITHMETIC:
            y = self._noise(y, 2 * eps)
        return self._signs(y) if e.function in EITHER_ZERO else y

    def _summing(self, op: Op, operands: Sequence[Array | None]) -> list[Array]:
        """The op on operands that are off by as many eps as it does operations per element."""
        attributes = op.attributes.substitute(dict(self.binding))
        out = op.results[0].type.dtype
        work = out.compute
        eps = float(np.finfo(work.numpy).eps) / 2
        if op.name in COARSE:
            eps = max(eps, rounding(DType.F32))
        steps = 4 + LIBRARY + self._operations(op)
        wide = [_widened(x, work) for x in operands]
        amount = steps * eps
        if self.reassociated:  # new weights are rounded to their type
            amount = max(amount, 2 * rounding(out))
        moved = [self._noise(x, amount) if _is_float(x) else x for x in wide]
        results = evaluate_definition(op.opdef, attributes, op.operand_types, moved)
        tame = [_tame(x) if _is_float(x) else x for x in wide]
        sizes = evaluate_definition(op.opdef, attributes, op.operand_types, tame)
        padded = op.name in PADDED and not np.isfinite(wide[1]).all()
        infinite = op.name in MIXING and not all(np.isfinite(x).all() for x in wide if _is_float(x))
        times = ROUNDS_TWICE.get(op.name, 1)
        found = []
        for result, size, value in zip(
            map(np.asarray, results), map(np.asarray, sizes), op.results
        ):
            dtype = value.type.dtype
            if not dtype.is_float:
                found.append(result)
                continue
            y = self._noise(_widened(result, work), LIBRARY * eps)
            if op.name in SPREADING:
                y = self._shaken(y, LIBRARY * eps)
            reach = scalars.convert(size, dtype).astype(np.float64)
            y = self._rounded(y, dtype, times)
            found.append(self._undetermined(y, ~np.isfinite(reach) | infinite | padded))
        return found

    def _undetermined(self, y: Array, overflown: Array) -> Array:
        """y with anything where partial sums may overflow, in one order or another."""
        if not overflown.any():
            return y
        if self.rng.random() < 0.25:  # what depends on all of them sees numbers, too
            return np.where(overflown, self.rng.normal(size=y.shape).astype(y.dtype), y)
        numbers = np.array([np.nan, np.inf, -np.inf, 0]).astype(y.dtype)
        anything = numbers[self.rng.integers(0, 4, y.shape)]
        return np.where(overflown & (self.rng.random(y.shape) < 0.7), anything, y)

    def _operations(self, op: Op) -> float:
        def number(dim: object) -> float:
            if isinstance(dim, DimExpr):
                return float(evaluate_dim(dim, self.binding))
            assert isinstance(dim, int)
            return float(dim)

        cost = op.opdef.cost(op.attributes, op.operand_types, op.result_types)
        elements = max(1.0, number(op.results[0].type.elements))
        return (number(cost.macs) + number(cost.flops)) / elements


def _typed(value: float | bool, dtype: np.dtype[Any]) -> Array:
    return np.asarray(value).astype(np.bool_ if isinstance(value, bool) else dtype)


def _functions(e: scalars.Expr) -> set[str]:
    if not isinstance(e, scalars.Call):
        return set()
    return {e.function}.union(*map(_functions, e.args))


def _is_float(x: Array | None) -> bool:
    return x is not None and DType.from_numpy(x.dtype).is_float


def _on_grid(x: Array, step: float) -> Array:
    """x rounded to multiples of ``step``; as it is if that is 0."""
    return np.asarray(np.rint(x / step) * step) if step else x


def _widened(x: Array | None, work: DType) -> Any:
    if x is None or not DType.from_numpy(x.dtype).is_float:
        return x
    return x.astype(work.numpy) if x.dtype.itemsize < work.bytes else x


def _tame(x: Array) -> Array:
    """The sizes of finite elements: what sums of them can reach."""
    return np.where(np.isfinite(x), np.abs(x), 0).astype(x.dtype)


def differences(
    module: Module,
    inputs: Mapping[str, Array],
    expected: Mapping[str, Array],
    actual: Mapping[str, Array],
    *,
    reassociated: bool,
    safety: float = SAFETY,
    floor: float = 0.0,
) -> list[Difference]:
    """Results that differ from the reference's by more than rounding can explain.

    ``floor`` is the difference, in eps of the largest element, or of 1 if that is more, that any
    float may show.
    """
    doubtful = [n for n in expected if not _same(expected[n], actual.get(n))]
    if not doubtful:
        return []
    for n in doubtful:
        if n not in actual or actual[n].dtype != expected[n].dtype:
            return [Difference(n, "a result is missing, or of another type")]
    runs: list[dict[str, Array] | None] = []
    found: list[Difference] = []
    for count in RUNS:
        while len(runs) < count:
            runs.append(_disturbed_run(module, inputs, len(runs), reassociated))
        found = _beyond(expected, actual, doubtful, runs, (safety, floor))
        if not found:
            return []
    return found


def _disturbed_run(
    module: Module, inputs: Mapping[str, Array], seed: int, reassociated: bool
) -> dict[str, Array] | None:
    try:
        return _Disturbed(module, seed, reassociated=reassociated).run(inputs)
    except Error:  # whether it fails is a matter of rounding
        return None


def _same(expected: Array, actual: Array | None) -> bool:
    if actual is None or actual.dtype != expected.dtype or actual.shape != expected.shape:
        return False
    if expected.dtype.kind in "iub":
        return bool((expected == actual).all())
    a, b = expected.astype(np.complex128), actual.astype(np.complex128)
    return bool(((a == b) | (np.isnan(a) & np.isnan(b))).all())


def _beyond(
    expected: Mapping[str, Array],
    actual: Mapping[str, Array],
    names: Sequence[str],
    runs: Sequence[dict[str, Array] | None],
    slack: tuple[float, float],
) -> list[Difference]:
    complete = [run for run in runs if run is not None]
    if len(complete) < len(runs):
        return []
    found = []
    for name in names:
        samples = [run[name] for run in complete]
        if any(s.shape != expected[name].shape for s in samples):
            continue  # how many elements there are is a matter of rounding
        if actual[name].shape != expected[name].shape:
            shapes = f"shape {list(actual[name].shape)}, not {list(expected[name].shape)}"
            found.append(Difference(name, shapes))
            continue
        wrong = _wrong(expected[name], actual[name], np.stack(samples), slack)
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            a, e = actual[name][place], expected[name][place]
            spread = [str(s[place]) for s in samples[:4]]
            text = (
                f"{int(wrong.sum())} of {wrong.size} elements differ, first at {list(place)}: "
                f"{a} instead of {e} (disturbed: {', '.join(spread)})"
            )
            found.append(Difference(name, text))
    return found


def _wrong(expected: Array, actual: Array, samples: Array, slack: tuple[float, float]) -> Array:
    """Elements that differ by more than the samples do."""
    dtype = DType.from_numpy(expected.dtype)
    if not dtype.is_float:
        unsettled = (samples != expected).any(axis=0)
        return np.asarray((actual != expected) & ~unsettled)
    e, a, s = (x.astype(np.float64) for x in (expected, actual, samples))
    with np.errstate(all="ignore"):
        equal = (e == a) | (np.isnan(e) & np.isnan(a))
        alike = np.where(np.isfinite(e), np.isfinite(s), (s == e) | (np.isnan(e) & np.isnan(s)))
        unsettled = ~alike.all(axis=0)
        spread = np.abs(s - e).max(axis=0)
        least = slack[1] * rounding(dtype) * np.abs(e[np.isfinite(e)]).max(initial=1)
        close = np.abs(a - e) <= np.maximum(slack[0] * spread, least)
        return np.asarray(~equal & ~unsettled & ~close)

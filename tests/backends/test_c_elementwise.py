"""Every elementwise op, in every element type it takes, against the interpreter."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from burnish.backends.c import compile_module, runner
from burnish.ir import DType, Module, Op, Value, build_function, interpret, scalar, tensor
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.opdef import registry

LIBM = frozenset(
    """
    pow exp expm1 log log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf
    """.split()  # noqa: SIM905 - reads better than nineteen quoted words
)
"""Primitives computed by functions whose accuracy C leaves to the library."""

TOLERANCE = {DType.F64: (1e-13, 1e-15), DType.F32: (4e-6, 4e-7)}
"""Relative and absolute: expressions such as 1 + tanh(x) cancel."""
NARROW_ULP = 1
ATTRIBUTES: dict[str, list[dict[str, object]]] = {
    "math.clamp": [
        {"low": -1.0, "high": 2.5},
        {"low": float("-inf"), "high": 3.0},
        {"low": 0.1, "high": float("inf")},
    ],
    "math.is_inf": [{}, {"negative": False}, {"positive": False}],
}
ELEMENTWISE = [d for d in registry().values() if isinstance(d, ElementwiseOp)]
DTYPES = [d for d in DType if d not in (DType.C64, DType.C128)]


def samples(dtype: DType) -> Any:
    """Values where element types go wrong: limits, zeros, halves, infinities, NaN."""
    if dtype is DType.BOOL:
        return np.array([False, True])
    if dtype.is_integer:
        low, high = dtype.integer_range
        wanted = [low, low + 1, high, high - 1, 0, 1, 2, 3, 5, 7, 31, 63, 64, -1, -2, -3, -7, 100]
        values = sorted({v for v in wanted if low <= v <= high})
        return np.array(values).astype(dtype.numpy)
    values = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1.0, -1.0, 3.0, 0.1, -0.7, 7.25, 100.0, -30.0]
    values += [1e-3, -1e-6, 1e-8, 6e-8, 1e-40, 3e4, 70000.0, -4e9, 1e19, 3e38]
    values += [np.inf, -np.inf, np.nan]
    with np.errstate(all="ignore"):
        return np.array(values).astype(dtype.numpy)


def operands_for(definition: ElementwiseOp, dtype: DType) -> list[Any] | None:
    """Arrays with all pairs (triples) of samples, or None where the op does not take ``dtype``."""
    columns = []
    for spec in definition.operands.values():
        operand_dtype = dtype if spec.group == "T" else next(iter(spec.dtypes))
        if operand_dtype not in spec.dtypes:
            return None
        columns.append(samples(operand_dtype))
    grids = np.meshgrid(*[np.arange(len(c)) for c in columns], indexing="ij")
    return [c[g.reshape(-1)] for c, g in zip(columns, grids)]


def results_of(module: Module, inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return runner(compile_module(module, "c:generic")).run(inputs), interpret(module, inputs)


def ordinal(array: Any) -> Any:
    """Position of each narrow float in the order of its type, to count units in the last place."""
    bits = array.view(np.uint16 if array.dtype.itemsize == 2 else np.uint8).astype(np.int64)
    sign = 1 << (DType.from_numpy(array.dtype).bits - 1)
    return np.where(bits & sign, -(bits & (sign - 1)), bits)


def assert_agree(name: str, actual: Any, expected: Any, op: Op) -> None:
    definition = op.opdef
    assert isinstance(definition, ElementwiseOp)
    dtype = op.results[0].type.dtype
    if not dtype.is_float:
        np.testing.assert_array_equal(actual, expected, err_msg=name)
        return
    wide = np.float64 if dtype is DType.F64 else np.float32
    a, e = actual.astype(wide), expected.astype(wide)
    if not uses_libm(definition.expression):
        np.testing.assert_array_equal(a, e, err_msg=name)
    elif dtype in TOLERANCE:
        np.testing.assert_allclose(a, e, *TOLERANCE[dtype], err_msg=name)
    else:
        np.testing.assert_array_equal(np.isnan(a), np.isnan(e), err_msg=name)
        off = np.abs(ordinal(actual) - ordinal(expected))[~np.isnan(a)]
        assert off.max(initial=0) <= NARROW_ULP, name


def uses_libm(expr: scalar.Expr) -> bool:
    if not isinstance(expr, scalar.Call):
        return False
    return expr.function in LIBM or any(map(uses_libm, expr.args))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_elementwise_ops_agree_with_the_interpreter(dtype: DType) -> None:
    module = Module("ops")
    inputs: dict[str, Any] = {}
    cases = []
    for definition in ELEMENTWISE:
        arrays = operands_for(definition, dtype)
        if arrays is None or definition.name == "math.cast":
            continue
        for attributes in ATTRIBUTES.get(definition.name, [{}]):
            names = [f"x{len(inputs) + i}" for i in range(len(arrays))]
            inputs.update(zip(names, arrays))
            cases.append((definition.name, names, attributes))
    if not cases:
        pytest.skip(f"no elementwise op takes {dtype}")
    types = {n: tensor(DType.from_numpy(a.dtype), *a.shape) for n, a in inputs.items()}
    labels = [f"{i}:{name}" for i, (name, _, _) in enumerate(cases)]
    function, b = build_function(module, "main", types, labels)
    args = dict(zip(types, function.args))
    ops = [b.create(name, [args[n] for n in names], attrs) for name, names, attrs in cases]
    b.ret(*(op.result for op in ops))
    actual, expected = results_of(module, inputs)
    for label, op in zip(labels, ops):
        assert_agree(label, actual[label], expected[label], op)


def test_casts_between_all_element_types_agree_with_the_interpreter() -> None:
    module = Module("casts")
    inputs = {str(d): samples(d) for d in DTYPES}
    types = {n: tensor(n, *a.shape) for n, a in inputs.items()}
    pairs = [(a, b) for a, b in itertools.product(DTYPES, DTYPES) if a is not b]
    labels = [f"{a}->{b}" for a, b in pairs]
    function, b = build_function(module, "main", types, labels)
    args = dict(zip(types, function.args))
    values: list[Value] = [b("math.cast", args[str(source)], to=to) for source, to in pairs]
    b.ret(*values)
    actual, expected = results_of(module, inputs)
    for label, value in zip(labels, values):
        wide = np.float64 if value.type.dtype.is_float else np.int64
        unsigned = value.type.dtype is DType.U64
        a, e = (r[label] if unsigned else r[label].astype(wide) for r in (actual, expected))
        np.testing.assert_array_equal(a, e, err_msg=label)


def test_every_code_of_a_narrow_float_reads_and_rounds_as_numpy_has_it() -> None:
    narrow = [d for d in DTYPES if d.is_float and d.bits < 32]
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 1 << 32, 20000, dtype=np.uint32).view(np.float32)
    small = (rng.standard_normal(20000) * np.exp2(rng.integers(-20, 20, 20000))).astype(np.float32)
    halfway = np.arange(0, 4097, dtype=np.float32) / 64
    module = Module("codes")
    inputs: dict[str, Any] = {"x": np.concatenate([wide, small, halfway, -halfway])}
    for dtype in narrow:
        carrier = np.uint16 if dtype.bytes == 2 else np.uint8
        count = 1 << max(dtype.bits, 4)
        inputs[str(dtype)] = np.arange(count).astype(carrier).view(dtype.numpy)
    types = {n: tensor(DType.from_numpy(a.dtype), *a.shape) for n, a in inputs.items()}
    labels = [f"to {d}" for d in narrow] + [f"from {d}" for d in narrow]
    function, b = build_function(module, "main", types, labels)
    args = dict(zip(types, function.args))
    b.ret(
        *(b("math.cast", args["x"], to=d) for d in narrow),
        *(b("math.cast", args[str(d)], to=DType.F32) for d in narrow),
    )
    actual, expected = results_of(module, inputs)
    for label in labels:
        a, e = (r[label].astype(np.float32) for r in (actual, expected))
        np.testing.assert_array_equal(a, e, err_msg=label)

"""One table of cases for every op, run by the tests of definitions and of backends.

A case is an op with attributes and operand arrays; what it means is ``case.expected()``, by the
op's definition, and ``case.module()`` is a module that holds nothing but the op.  The tables are
in op_cases_*.py; :func:`cases` is all of them.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from burnish import ir
from burnish.ir.opdef import OpDef


@dataclass(frozen=True, eq=False)
class OpCase:
    """One op applied to arrays.

    ``encodings`` are those of the operands' types, where they have one.  ``defined_here`` marks
    cases that ONNX leaves open and burnish defines, so that there is no oracle.
    """

    op: str
    note: str
    operands: tuple[ir.Array | None, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    encodings: tuple[ir.Encoding | None, ...] = ()
    defined_here: bool = False

    @property
    def id(self) -> str:
        return f"{self.op}-{self.note}"

    @property
    def definition(self) -> OpDef:
        return ir.lookup(self.op)

    @property
    def complete(self) -> ir.Attributes:
        return self.definition.complete(self.attributes)

    @property
    def types(self) -> list[ir.TensorType | None]:
        encodings = itertools.chain(self.encodings, itertools.repeat(None))
        return [
            None
            if array is None
            else ir.TensorType(array.shape, ir.DType.from_numpy(array.dtype), None, encoding)
            for array, encoding in zip(self.operands, encodings)
        ]

    def result_types(self) -> tuple[ir.TensorType, ...]:
        return self.definition.result_types(self.complete, self.types)

    def expected(self) -> list[ir.Array]:
        """Results by the op's definition."""
        definition = self.definition
        missing = [None] * (len(definition.operands) - len(self.operands))
        operands = [*self.operands, *missing]
        result = definition.evaluate_typed(self.complete, [*self.types, *missing], operands)
        return [result] if isinstance(result, np.ndarray | np.generic) else list(result)

    def inputs(self) -> dict[str, ir.Array]:
        """The present operands by the names :meth:`module` gives them."""
        return {f"x{i}": x for i, x in enumerate(self.operands) if x is not None}

    def module(self) -> ir.Module:
        """``main(x0, x1, ...)`` applies the op to the present operands; results are y0, y1, ..."""
        module = ir.Module("case")
        types = {f"x{i}": t for i, t in enumerate(self.types) if t is not None}
        names = [f"y{i}" for i in range(len(self.result_types()))]
        function, builder = ir.build_function(module, "main", types, names)
        arguments = dict(zip(types, function.args))
        operands = [arguments.get(f"x{i}") for i in range(len(self.operands))]
        op = builder.create(self.op, operands, self.attributes)
        builder.ret(*op.results)
        return module

    def __repr__(self) -> str:
        return self.id


def tolerance(dtype: np.dtype[Any]) -> float:
    """Relative difference that other implementations may show: some units in the last place."""
    known = {"float64": 1e-9, "float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2}
    return known.get(dtype.name, 0.0)


def assert_close(actual: ir.Array, expected: ir.Array, what: str = "") -> None:
    """Same type and shape, and equal: integers exactly, floats up to :func:`tolerance`."""
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype} is not {expected.dtype}"
    assert actual.shape == expected.shape, f"{what}: {actual.shape} is not {expected.shape}"
    relative = tolerance(expected.dtype)
    if not relative:
        np.testing.assert_array_equal(actual, expected, what)
        return
    wide = expected.astype(np.float64)
    finite = np.abs(wide[np.isfinite(wide)])
    scale = float(finite.max()) if finite.size else 0.0
    scale = min(scale, 1e4)  # one huge element must not excuse all others
    np.testing.assert_allclose(
        actual.astype(np.float64), wide, rtol=relative, atol=relative * scale * 0.1, err_msg=what
    )


def data(
    shape: Sequence[int],
    dtype: str = "f32",
    *,
    low: float = -2.0,
    high: float = 2.0,
    salt: str = "",
) -> ir.Array:
    """Random numbers that depend on the arguments only; integers lie in [4·low, 4·high]."""
    kind = ir.DType.parse(dtype)
    seed = zlib.crc32(repr((tuple(shape), dtype, low, high, salt)).encode())
    rng = np.random.default_rng(seed)
    if kind is ir.DType.BOOL:
        return np.asarray(rng.random(shape) < 0.5)
    if kind.is_integer:
        bottom, top = kind.integer_range
        first, last = max(bottom, int(4 * low)), min(top, int(4 * high))
        return rng.integers(first, last, shape, endpoint=True).astype(kind.numpy)
    return rng.uniform(low, high, shape).astype(kind.numpy)


def indices(shape: Sequence[int], extent: int, dtype: str = "i64", salt: str = "") -> ir.Array:
    """Random indices into an axis of ``extent``, negative ones included."""
    seed = zlib.crc32(repr((tuple(shape), extent, dtype, salt)).encode())
    rng = np.random.default_rng(seed)
    return rng.integers(-extent, extent, shape).astype(ir.DType.parse(dtype).numpy)


def cases() -> list[OpCase]:
    """All cases, unique by id."""
    import op_cases_attention
    import op_cases_counted
    import op_cases_math
    import op_cases_ml
    import op_cases_nn
    import op_cases_signal
    import op_cases_sparse
    import op_cases_tensor
    import op_cases_vision

    tables = (
        op_cases_attention,
        op_cases_counted,
        op_cases_math,
        op_cases_tensor,
        op_cases_nn,
        op_cases_ml,
        op_cases_signal,
        op_cases_sparse,
        op_cases_vision,
    )
    table = [case for module in tables for case in module.CASES]
    names = [case.id for case in table]
    assert len(set(names)) == len(names), sorted({n for n in names if names.count(n) > 1})
    return table

"""Writes ops of the IR into a function of a Relax module, each by its lowering."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from burnish.ir import Array, Block, Dim, DType, InternalError, Op, TensorType, Value
from burnish.ir.dims import Call, DimExpr, Symbol, symbol, symbols_of
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.errors import UnsupportedError, clip

from .package import tvm_package
from .refusal import Refusal
from .registry import ELEMENTWISE, LOWERINGS, Expr, LoweringFunction
from .storage import relax_dtype, stored


class Lowering:
    """Where the ops of one function go.

    Attributes:
        builder: the ``relax.BlockBuilder``; a function and a dataflow block are open while
            lowerings are called.
        device: ``"cpu"`` or ``"cuda"``.
        dtype: ``"fp16"`` or ``"bf16"`` where products are to be computed in these with f32
            accumulation, else ``""``.
        exprs: what values of the IR became.
        has_unused: whether functions were written that nothing calls for.
    """

    def __init__(self, builder: Any, device: str = "cpu", dtype: str = "") -> None:
        self.tvm = tvm_package()
        self.builder = builder
        self.device = device
        self.dtype = dtype
        self.exprs: dict[Value, Expr] = {}
        self.checks: list[Expr] = []
        self.has_unused = False
        self._symbols: dict[str, Any] = {}
        self._known: dict[Dim, Any] = {}

    # Types -------------------------------------------------------------------------------

    def type(self, type_: TensorType) -> Any:
        """The ``relax.TensorType`` of a value: of the shape that is stored, see ``storage``.

        Raises:
            Refusal: Relax has no such element type.
        """
        dtype = relax_dtype(type_.dtype)
        if dtype is None:
            raise Refusal(f"elements of type {type_.dtype}")
        return self.tvm.relax.TensorType(self.shape(type_.storage_shape), dtype)

    def shape(self, shape: Sequence[Dim]) -> list[Any]:
        """Dimensions as Relax has them: integers, and expressions over symbols of type int64."""
        return [self.dim(dim) for dim in shape]

    def dim(self, dim: Dim) -> Any:
        """A dimension: an integer, or an expression over ``tirx.Var``, one for each symbol."""
        if isinstance(dim, int):
            return dim
        if dim in self._known:
            return self._known[dim]
        assert isinstance(dim, DimExpr)
        total: Any = 0
        for atoms, coefficient in dim.terms:
            term: Any = coefficient
            for atom in atoms:
                factor = self._atom(atom)
                term = factor if isinstance(term, int) and term == 1 else term * factor
            total = term if isinstance(total, int) and total == 0 else total + term
        return total

    def _atom(self, atom: Symbol | Call) -> Any:
        tirx = self.tvm.tirx
        if isinstance(atom, Symbol):
            if atom.name not in self._symbols:
                raise Refusal(f'the dimension "{atom.name}", which no input tells')
            return self._symbols[atom.name]
        functions = {"floordiv": tirx.floordiv, "mod": tirx.floormod}
        functions |= {"min": tirx.min, "max": tirx.max}
        found, *others = (self._int64(arg) for arg in atom.args)
        for other in others:
            found = functions[atom.function](found, other)
        return found

    def define(self, name: str) -> Any:
        """The variable of a symbol whose value is known from here on."""
        self._symbols[name] = self.tvm.tirx.Var(script_name(name), "int64")
        return self._symbols[name]

    def define_symbols(self, shapes: Sequence[Sequence[Dim]]) -> None:
        """Define the symbols that the shapes of inputs tell.

        A size that is no symbol, such as ``2*n + 1``, becomes a variable of its own, by which the
        symbol is known: ``n = (size - 1) // 2``.
        """
        sizes = [dim for shape in shapes for dim in shape if isinstance(dim, DimExpr)]
        for dim in sizes:
            if dim == symbol(name := min(symbols_of(dim))) and name not in self._symbols:
                self.define(name)
        for dim in sizes:
            unknown = symbols_of(dim) - self._symbols.keys()
            if len(unknown) != 1 or (linear := _linear(dim, *unknown)) is None:
                continue
            coefficient, rest = linear
            size = self.tvm.tirx.Var(script_name(str(dim)), "int64")
            difference = size - self._int64(rest)
            self._symbols[min(unknown)] = self.tvm.tirx.floordiv(difference, coefficient)
            self._known[dim] = size

    def _int64(self, dim: Dim) -> Any:
        found = self.dim(dim)
        return self.tvm.tirx.IntImm("int64", found) if isinstance(found, int) else found

    # Expressions -------------------------------------------------------------------------

    def constant(self, array: Array) -> Expr:
        """A constant; its elements are kept as :func:`~.storage.stored` says."""
        kept = np.asarray(array)
        return self.tvm.relax.const(stored(kept), relax_dtype(DType.from_numpy(kept.dtype)))

    def scalar(self, value: float | int | bool, dtype: DType) -> Expr:
        """A constant of rank 0."""
        return self.constant(np.asarray(value).astype(dtype.numpy))

    def emit(self, expr: Expr) -> Expr:
        """A variable that is bound to ``expr``."""
        return self.builder.emit(expr)

    def emit_te(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Expr:
        """A variable bound to a call of a tensor function given as ``te`` (``primfunc``).

        What is known to have no elements is a constant: no schedule for a GPU takes loops without
        rounds.
        """
        found = self.builder.emit_te(function, *args, **kwargs)
        shape = getattr(found.ty, "shape", ())
        if not any(isinstance(size, self.tvm.tirx.IntImm) and not size.value for size in shape):
            return found
        self.has_unused = True
        elements = self.tvm.runtime.empty([int(n) for n in shape], str(found.ty.dtype))
        return self.tvm.relax.const(elements)

    def check(self, holds: Expr) -> None:
        """Have a run fail unless ``holds``, a scalar of type bool, is true."""
        self.checks.append(holds)

    # Ops ---------------------------------------------------------------------------------

    def op(self, op: Op) -> None:
        """Write an op whose operands are written.

        Raises:
            Refusal: it cannot be expressed.
        """
        constant = op.results[0].constant if op.results else None
        if constant is not None:
            type_ = op.results[0].type
            array = constant.array if type_.layout is None else type_.layout.store(constant.array)
            self.exprs[op.results[0]] = self.constant(array)
            return
        operands = [None if value is None else self.exprs[value] for value in op.operands]
        results = find_lowering(op)(self, op, operands)
        if len(results) != len(op.results):
            raise InternalError(f"{op} is lowered to {len(results)} expressions")
        self.exprs.update(zip(op.results, results))

    def inline(self, block: Block, arguments: Sequence[Expr]) -> list[Expr]:
        """The ops of a region among those around it; what its terminator hands out."""
        self.exprs.update(zip(block.args, arguments))
        for op in block:
            if not op.is_terminator:
                self.op(op)
        return [self.exprs[value] for value in block.results]


def _linear(dim: DimExpr, name: str) -> tuple[int, Dim] | None:
    """``(a, b)`` if ``dim`` is ``a * name + b`` with a number ``a`` and ``b`` without ``name``."""
    own = symbol(name)
    coefficient = next((c for atoms, c in dim.terms if DimExpr(((atoms, 1),)) == own), 0)
    rest = dim - coefficient * own
    return (coefficient, rest) if coefficient and name not in symbols_of(rest) else None


def script_name(name: str) -> str:
    """A name like ``name`` that TVMScript can hold."""
    kept = re.sub(r"[^A-Za-z0-9_]+", "_", name)[:64].strip("_")
    return kept if kept and kept[0].isalpha() else f"v_{kept}"


def find_lowering(op: Op) -> LoweringFunction:
    """The lowering of an op: its own, or that of all elementwise ops.

    Raises:
        Refusal: it has none.
    """
    from . import lowerings  # noqa: F401 - registers them; imports TVM

    if op.name in LOWERINGS:
        return LOWERINGS[op.name]
    if isinstance(op.opdef, ElementwiseOp) and ELEMENTWISE in LOWERINGS:
        return LOWERINGS[ELEMENTWISE]
    raise Refusal("there is no lowering for it")


def unsupported(refused: Sequence[tuple[Op, str]]) -> UnsupportedError:
    """The error that names all ops that cannot be expressed, and why."""
    groups: dict[str, list[str]] = {}
    for op, reason in refused:
        places = groups.setdefault(f"{op.name}: {reason}", [])
        places += [str(place) for place in op.location.sources if str(place) not in places]
    lines = [f"{what}{f' ({clip(chr(44).join(p))})' if p else ''}" for what, p in groups.items()]
    return UnsupportedError("Relax cannot express " + "; ".join(lines))

"""Ensembles of decision trees."""

from __future__ import annotations

from burnish.ir import Constant, DType
from burnish.ir.ops.ml import EQUALITY, NAN_TAKES_FIRST

from ..code import Expr
from ..elements import literal, storage_type
from .buffer import Buffer
from .builder import KernelBuilder
from .family import KernelFamily, register


@register
class TreeEnsemble(KernelFamily):
    """Tables of nodes and leaves, walked from each root: children are numbers, leaves negative.

    Integers are kept in the narrowest type that holds them; flags only where they differ.
    """

    name = "tree_ensemble"
    ops = ("ml.tree_ensemble",)

    def emit(self, k: KernelBuilder) -> None:
        a, x = k.attributes, k.operand("x")
        rows, targets = k.result.shape
        work = k.result.dtype
        starts, columns = (_integers(k, name, getattr(a, name)) for name in ("starts", "columns"))
        weights = _numbers(k, "weights", a.weights)
        roots = _integers(k, "roots", a.roots)
        initial = {"sum": 0.0, "min": float("inf"), "max": float("-inf")}[a.aggregate]
        combined = {"sum": "a + w", "min": "min(a, w)", "max": "max(a, w)"}[a.aggregate]
        with k.loop("row", rows) as row:
            with k.loop("j", targets) as j:
                k.write(k.result, [row, j], k.literal(initial, work))
            with k.loop("tree", a.roots.size) as tree:
                at = k.index_variable("at", roots.at([tree]))
                _walk(k, x, row, at)
                first = k.let_index("entry", starts.at([-1 - at]))
                with k.loop("e", starts.at([-at]), start=first) as e:
                    place = k.result.at([row, columns.at([e])])
                    k.assign(place, k.value(combined, work, a=place, w=weights.at([e])))
            if a.aggregate != "sum":
                k.comment("Columns that no leaf touches are 0.")
                with k.loop("j", targets) as j:
                    place = k.result.at([row, j])
                    value = k.value(
                        "0.0 if a == b else a", work, a=place, b=k.literal(initial, work)
                    )
                    k.assign(place, value)


def _walk(k: KernelBuilder, x: Buffer, row: Expr, at: Expr) -> None:
    """From the root at ``at`` to a leaf."""
    a = k.attributes
    if not a.features.size:
        return
    features, first, second = (
        _integers(k, name, getattr(a, name)) for name in ("features", "first", "second")
    )
    thresholds = _numbers(k, "thresholds", a.thresholds)
    flags = {int(flag) for flag in a.flags.array}
    with k.block(f"while ({at} >= 0)"):
        value = k.let("value", x.dtype, k.load(x, [row, features.at([at])]))
        threshold = thresholds.at([at])
        tests = {"lower": f"{value} <= {threshold}", "equal": f"{value} == {threshold}"}
        nan = f"isnan({value})"
        if len(flags) == 1:
            (flag,) = flags
            test = tests["equal" if flag & EQUALITY else "lower"]
            test += f" || {nan}" if flag & NAN_TAKES_FIRST else ""
        else:
            table = _integers(k, "flags", a.flags)
            test = f"({table.at([at])} & {EQUALITY}) != 0 ? {tests['equal']} : {tests['lower']}"
            if any(flag & NAN_TAKES_FIRST for flag in flags):
                test = f"({test}) || (({table.at([at])} & {NAN_TAKES_FIRST}) != 0 && {nan})"
        k.statement(f"{at} = ({test}) ? {first.at([at])} : {second.at([at])}")


def _integers(k: KernelBuilder, name: str, table: Constant) -> Buffer:
    """A table in the narrowest signed type that holds its numbers."""
    values = [int(value) for value in table.array]
    largest = max((abs(value) for value in values), default=0)
    dtype = next(d for d in (DType.I8, DType.I16, DType.I32) if largest <= d.integer_range[1])
    return _table(k, name, dtype, values)


def _numbers(k: KernelBuilder, name: str, table: Constant) -> Buffer:
    return _table(k, name, table.dtype, [float(value) for value in table.array])


def _table(k: KernelBuilder, name: str, dtype: DType, values: list[int] | list[float]) -> Buffer:
    numbers = [literal(value, dtype) for value in values] or [literal(0, dtype)]
    return Buffer(k.table(name, storage_type(dtype), numbers), (len(numbers),), dtype)

"""Control flow: ops whose regions run conditionally or repeatedly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..attributes import DIM, INT, Attributes
from ..constants import Array
from ..dims import Dim
from ..dtypes import DType
from ..errors import InputError, TypeInferenceError
from ..opdef import (
    BOOLS,
    Cost,
    OpDef,
    OperandTypes,
    RegionFunction,
    attribute,
    operand,
    register,
    traffic,
)
from ..types import TensorType
from .checks import show

if TYPE_CHECKING:
    from ..core import Block


def _require_types(
    actual: Sequence[TensorType], expected: Sequence[TensorType | None], what: str
) -> None:
    if list(actual) != list(expected):
        raise TypeInferenceError(f"{what} have types {show(actual)}, need {show(expected)}")


@register
class If(OpDef):
    """The results of the region ``then`` when the condition holds, else of ``else``.  ONNX If.

    Both regions take the captured operands as arguments and yield the same types.
    """

    name = "control.if"
    regions = ("then", "else")
    cond = operand("the condition", dtypes=BOOLS, rank=0)
    captured = operand("what the regions read", optional=True, variadic=True)

    def infer_regions(
        self, a: Attributes, operands: OperandTypes, regions: Sequence[Block]
    ) -> list[TensorType]:
        for name, region in zip(self.regions, regions):
            arguments = [arg.type for arg in region.args]
            _require_types(arguments, operands[1:], f"arguments of region {name}")
        then, otherwise = ([value.type for value in region.results] for region in regions)
        _require_types(otherwise, then, "results of region else")
        return then

    def evaluate_regions(
        self, a: Attributes, operands: Sequence[Array], regions: Sequence[RegionFunction]
    ) -> Sequence[Array]:
        cond, *captured = operands
        return regions[0 if cond else 1](*captured)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        """Traffic only; the arithmetic is that of the ops in the regions."""
        return Cost(**traffic(operands, results))


@register
class Loop(OpDef):
    """Runs its body while a condition holds, at most ``trip_count`` times.  ONNX Loop.

    The body takes (iteration i64[], cond bool[], carried..., captured...) and yields (cond
    bool[], carried..., scans...).  Results are the carried values after the last iteration,
    then each scan's values of all iterations, stacked along a new first axis.  A missing
    trip count is no limit; a missing condition holds at first.
    """

    name = "control.loop"
    regions = ("body",)
    trip_count = operand("most iterations", dtypes={DType.I64}, rank=0, optional=True)
    cond = operand("whether to start", dtypes=BOOLS, rank=0, optional=True)
    values = operand(
        "initial carried values, then what the body reads", optional=True, variadic=True
    )
    carried = attribute(INT, "how many of the values are carried from iteration to iteration")
    iterations = attribute(
        DIM, "iterations there will be, size of scan results; needed only with scans", -1
    )

    def infer_regions(
        self, a: Attributes, operands: OperandTypes, regions: Sequence[Block]
    ) -> list[TensorType]:
        (body,) = regions
        values = operands[2:]
        if not 0 <= a.carried <= len(values):
            raise TypeInferenceError(f"{a.carried} carried values, but {len(values)} operands")
        flags = [TensorType((), DType.I64), TensorType((), DType.BOOL)]
        arguments = [arg.type for arg in body.args]
        _require_types(arguments, [*flags, *values], "arguments of the body")
        yielded = [value.type for value in body.results]
        carried = arguments[2 : 2 + a.carried]
        _require_types(yielded[: 1 + a.carried], [flags[1], *carried], "results of the body")
        return [*carried, *(self._stacked(a, scan) for scan in yielded[1 + a.carried :])]

    def _stacked(self, a: Attributes, scan: TensorType) -> TensorType:
        length: Dim = a.iterations
        if isinstance(length, int) and length < 1:
            raise TypeInferenceError("scan results need the attribute iterations, 1 at least")
        return TensorType((length, *scan.shape), scan.dtype)

    def evaluate_regions(
        self, a: Attributes, operands: Sequence[Array | None], regions: Sequence[RegionFunction]
    ) -> Sequence[Array]:
        padded: list[Array | None] = [*operands, *[None] * (2 - len(operands))]
        (trip_count, cond), values = padded[:2], padded[2:]
        state = [value for value in values[: a.carried] if value is not None]
        captured = values[a.carried :]
        going = True if cond is None else bool(cond)
        scans: list[list[Array]] = []
        iteration = 0
        while going and (trip_count is None or iteration < trip_count):
            flags = np.asarray(iteration, np.int64), np.asarray(going)
            again, *outputs = regions[0](*flags, *state, *captured)
            state = outputs[: a.carried]
            scans.append(outputs[a.carried :])
            going = bool(again)
            iteration += 1
        if a.iterations == -1:  # no scans
            return state
        if iteration != a.iterations:
            raise InputError(
                f"a loop with scan results ran {iteration} times, but was declared to run "
                f"{a.iterations} times"
            )
        return [*state, *(np.stack(scan) for scan in zip(*scans))]  # none of no iteration

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        """Traffic only; the arithmetic is that of the ops in the body, per iteration."""
        return Cost(**traffic(operands, results))

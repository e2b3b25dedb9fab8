"""Products with sparse weights."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from ..attributes import INT, Attributes
from ..constants import Array
from ..dims import Dim, product
from ..dtypes import DType
from ..errors import InputError, TypeInferenceError
from ..opdef import FLOATS, Cost, OpDef, OperandTypes, attribute, operand, register, traffic
from ..types import TensorType
from .checks import along, narrow, require_axis, require_equal, require_shape, widen


@register
class SparseProduct(OpDef):
    """A linear map of the slices of x along an axis, of which only some weights are stored.

    Outputs come in tiles of ``width``, the number of columns of ``values``.  Row e of ``values``
    holds the weights between input ``inputs[e]`` and the outputs of one tile; tile t has the rows
    ``starts[t] <= e < starts[t + 1]``::

        y[.., t*width + j, ..] = b[t*width + j] + Σ_e values[e, j] · x[.., inputs[e], ..]

    Columns beyond the last output are ignored.  Backends make this of convolutions by 1 and of
    matrix products whose weights hold zeros: one tile of all outputs leaves out whole inputs,
    tiles of a vector leave out blocks, tiles of one output single weights.  What is left out is
    not multiplied: infinities and NaN do not spread through weights that are not there.
    An input or a start out of range is an error at run time.
    """

    name = "nn.sparse_product"
    x = operand("the data, rank >= 1", dtypes=FLOATS, group="T")
    values = operand("weights [entries, width]", dtypes=FLOATS, group="T")
    inputs = operand("which input each row of values is for [entries]", dtypes={DType.I32})
    starts = operand("first row of each tile, and the end [tiles + 1]", dtypes={DType.I32})
    b = operand("bias [outputs]", dtypes=FLOATS, optional=True, group="T")
    axis = attribute(INT, "axis that is mapped, 0 <= axis < rank")
    outputs = attribute(INT, "size of that axis of the result, at least 1")

    def infer(
        self,
        a: Attributes,
        x: TensorType,
        values: TensorType,
        inputs: TensorType,
        starts: TensorType,
        b: TensorType | None,
    ) -> TensorType:
        require_axis(a.axis, x.rank)
        if a.outputs < 1:
            raise TypeInferenceError(f"{a.outputs} outputs")
        if values.rank != 2 or 0 in values.shape[1:]:
            raise TypeInferenceError(f"the weights {values} are no rows of some columns")
        if not all(t.is_static for t in (values, inputs, starts)):
            raise TypeInferenceError("the numbers of weights and tiles must be known")
        if not isinstance(x.shape[a.axis], int):
            raise TypeInferenceError(f"axis {a.axis} of {x} must be of known size")
        entries, width = values.static_shape
        require_shape(inputs, (entries,), "inputs")
        require_equal(starts.rank, 1, "rank of starts")
        require_equal(starts.shape[0], -(-a.outputs // width) + 1, "number of starts")
        require_shape(b, (a.outputs,), "b")
        shape: list[Dim] = list(x.shape)
        shape[a.axis] = a.outputs
        return TensorType(tuple(shape), x.dtype)

    def evaluate(
        self,
        a: Attributes,
        x: Array,
        values: Array,
        inputs: Array,
        starts: Array,
        b: Array | None,
    ) -> Array:
        check_rows(len(values), inputs, starts, x.shape[a.axis])
        moved, values = np.moveaxis(widen(x), a.axis, 0), widen(values)
        rows = [slice(*bounds) for bounds in itertools.pairwise(starts)]
        with np.errstate(all="ignore"):
            # Not by np.dot, which skips a single zero, whatever it is multiplied with.
            slices = moved.reshape(len(moved), math.prod(moved.shape[1:]))
            tiles = [np.matmul(values[r].T, slices[inputs[r]]) for r in rows]
            outputs = np.concatenate(tiles)[: a.outputs].reshape(a.outputs, *moved.shape[1:])
            y = np.moveaxis(outputs, 0, a.axis)
            if b is not None:
                y = y + along(widen(b), a.axis, x.ndim)
        return narrow(y, x.dtype)

    def cost(self, a: Attributes, operands: OperandTypes, results: Sequence[TensorType]) -> Cost:
        x, values = operands[0], operands[1]
        assert x is not None
        assert values is not None
        positions = product([dim for axis, dim in enumerate(x.shape) if axis != a.axis])
        return Cost(macs=positions * values.elements, **traffic(operands, results))


def check_rows(entries: int, inputs: Array, starts: Array, size: int) -> None:
    """Check that ``entries`` rows are of inputs that there are, and that tiles cover them in order.

    Raises:
        InputError: an input or a start is out of range.
    """
    if starts[0] != 0 or starts[-1] != entries or (starts[1:] < starts[:-1]).any():
        raise InputError(f"starts of tiles do not ascend from 0 to {entries}")
    if inputs.size and not (inputs.min() >= 0 and inputs.max() < size):
        raise InputError(f"an input is outside an axis of size {size}")


def dense_weights(values: Array, inputs: Array, starts: Array, size: int) -> Array:
    """The whole matrix [tiles * width, inputs] of a sparse product of ``size`` inputs.

    Raises:
        InputError: an input or a start is out of range.
    """
    check_rows(len(values), inputs, starts, size)
    tiles = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    matrix = np.zeros((len(starts) - 1, size, values.shape[1]), values.dtype)
    np.add.at(matrix, (tiles, inputs), values)
    return np.asarray(matrix.transpose(0, 2, 1).reshape(-1, size))

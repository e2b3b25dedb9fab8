"""Convolutions by 1 and matrix products as what they are: a linear map along one axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from burnish.ir import Array, Builder, Constant, DType, Layout, Module, Op, TensorType, Value

from .forms import SparseForm


@dataclass(frozen=True)
class LinearMap:
    """An op that maps each slice of x along an axis by one constant matrix, and adds a bias.

    Attributes:
        op: the op; its operands are x, the weights, and perhaps the bias.
        axis: the axis of x, and of the result, that is mapped.
        output_axis, input_axis: axes of the weights that count outputs and inputs.
    """

    op: Op
    axis: int
    output_axis: int
    input_axis: int

    @property
    def weights(self) -> TensorType:
        """The type of the weights."""
        return self.op.inputs[1].type

    @property
    def outputs(self) -> int:
        """Outputs of each slice."""
        return self.weights.static_shape[self.output_axis]

    @property
    def inputs(self) -> int:
        """Inputs of each slice."""
        return self.weights.static_shape[self.input_axis]

    @property
    def strides(self) -> tuple[int, ...]:
        """From one slice that is mapped to the next, along each axis of x."""
        if self.op.name != "nn.conv":
            return (1,) * self.op.inputs[0].type.rank
        return (1, 1, *self.op.attributes.strides)

    @property
    def is_strided(self) -> bool:
        """Whether some slices of x are not mapped."""
        return set(self.strides) != {1}

    @property
    def mapped(self) -> TensorType:
        """The type of what is mapped, in row-major order: x, or what strides leave of it."""
        x, shape = self.op.inputs[0].type, list(self.op.result.type.shape)
        shape[self.axis] = x.shape[self.axis]
        return TensorType(tuple(shape), x.dtype)

    def matrix(self) -> Array:
        """The weights as a matrix [outputs, inputs]; no data is copied."""
        constant = self.op.inputs[1].constant
        assert constant is not None
        return as_matrix(constant.array, self.output_axis, self.input_axis)

    def block(self, outputs: int, inputs: int) -> tuple[int, ...]:
        """The block shape, over the last axes of the weights, of so many outputs and inputs."""
        shape = [1] * self.weights.rank
        shape[self.output_axis], shape[self.input_axis] = outputs, inputs
        first = min(self.output_axis, self.input_axis)
        return tuple(shape[first:])

    def replace(
        self,
        builder: Builder,
        form: SparseForm,
        x: Value,
        b: Value | None,
        layouts: tuple[Layout | None, Layout | None] = (None, None),
    ) -> Op:
        """The sparse product that computes the same from what ``form`` has stored.

        ``layouts`` are those of the stored weights and of the result.  Where there are strides, a
        slice comes before it.
        """
        if self.is_strided:
            x = self._taken(builder, x)
        constant = self.op.inputs[1].op
        location = constant.location if constant is not None else None
        parts = {"values": form.values, "inputs": form.inputs, "starts": form.starts}
        operands = [x]
        for name, array in parts.items():
            made = builder.create(
                "core.constant",
                (),
                {"value": Constant(array)},
                location=location,
                names=(name,),
                layouts=(layouts[0] if name == "values" else None,),
            )
            operands.append(made.result)
        if b is not None and b.type.rank != 1:
            b = self._bias(builder, b)
        return builder.create(
            "nn.sparse_product",
            operands if b is None else [*operands, b],
            {"axis": self.axis, "outputs": self.outputs},
            names=[self.op.result.name],
            layouts=layouts[1:],
        )

    def _taken(self, builder: Builder, x: Value) -> Value:
        """What strides leave of ``x``, in the same layout."""
        sizes = self.mapped.shape
        places = {"starts": (0,) * len(sizes), "sizes": sizes, "steps": self.strides}
        return builder.create("tensor.slice", [x], places, layouts=(x.type.layout,)).result

    def _bias(self, builder: Builder, b: Value) -> Value:
        """A bias that has axes of one element, as a vector."""
        if b.constant is not None:
            return builder.constant(b.constant.array.reshape(self.outputs), b.name)
        return builder("tensor.reshape", b, shape=(self.outputs,))


def as_matrix(array: Array, output_axis: int, input_axis: int) -> Array:
    """An array whose other axes have one element, as a matrix [outputs, inputs]."""
    matrix = np.moveaxis(array, (output_axis, input_axis), (0, 1))
    return np.asarray(matrix.reshape(matrix.shape[:2]))


def linear_map(op: Op) -> LinearMap | None:
    """The linear map that ``op`` is; None for other ops.

    A convolution counts if its kernel and groups are 1 and nothing is padded; a matrix product if
    it has one constant matrix on the right, and a bias per column or none.
    """
    if op.name not in ("nn.conv", "nn.matmul") or op.inputs[1].constant is None:
        return None
    w, rank = op.inputs[1].type, op.inputs[0].type.rank
    if w.dtype is not DType.F32 or w.quantized is not None or 0 in w.shape:
        return None
    a = op.attributes
    if op.name == "nn.conv":
        plain = a.groups == 1 and not any(a.pads)
        return LinearMap(op, 1, 0, 1) if plain and set(w.shape[2:]) <= {1} else None
    if a.transpose_a or math.prod(w.static_shape[:-2]) != 1 or op.result.type.rank != rank:
        return None
    bias = op.inputs[2].type if len(op.inputs) > 2 else None
    columns = op.result.type.shape[-1]
    if bias is not None and (bias.rank == 0 or bias.shape[-1] != columns or bias.rank > rank):
        return None
    if bias is not None and any(dim != 1 for dim in bias.shape[:-1]):
        return None
    rows = w.rank - 2, w.rank - 1
    output_axis, input_axis = rows if a.transpose_b else rows[::-1]
    return LinearMap(op, rank - 1, output_axis, input_axis)


@dataclass(frozen=True)
class ZeroCount:
    """Weights of a module's linear maps.

    Attributes:
        ops: how many maps there are.
        weights, zeros: how many weights they have, and how many of these are zero.
    """

    ops: int
    weights: int
    zeros: int


def count_zeros(module: Module) -> ZeroCount:
    """Count the zeros in the weights of all linear maps; weights that ops share count once."""
    maps = [m for f in module.functions.values() for op in f.walk() if (m := linear_map(op))]
    matrices = {map_.op.inputs[1]: map_.matrix() for map_ in maps}.values()
    size = sum(matrix.size for matrix in matrices)
    kept = sum(int(np.count_nonzero(matrix)) for matrix in matrices)
    return ZeroCount(len(maps), size, size - kept)

"""How convolutions by 1 and matrix products can be computed without their zeros, and how fast.

Weights whose type promises zeros are counted in each form that there is a kernel for:

- ``compacted``: inputs of which no weight is left are not read; one tile of all outputs;
- ``blocks of n``: n outputs, which fill vectors, by one input;
- ``single weights``: for each output its inputs.

Every form becomes an offer of the pass ``layout``, beside those of the dense kernels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from burnish.ir import Array, Builder, Layout, Op, Sparse, TensorType, Value
from burnish.passes.layout.offers import Offer
from burnish.passes.sparsity import LinearMap, linear_map, sparse_form, stored_weights

from .isa import Isa
from .kernels.blocked import blocked, blocked_vector, channels_last
from .kernels.sparse_blocks import SparseBlocks, block_shape, packed_values
from .kernels.sparse_entries import COPY_CYCLES, GATHER_CYCLES, SparseTypes
from .kernels.sparse_product import SparseProduct, plain_cycles
from .kernels.sparse_rows import SparseRows, row_shape

VECTORS = (4, 2, 1)
"""Vectors of outputs in a block."""

WIDTHS = (8, 4)
"""Outputs in a block where there are no vectors."""

COMPACTED, SINGLE = "compacted", "single weights"


@dataclass(frozen=True)
class Form:
    """A way to store a matrix of weights: tiles of ``width`` outputs, ``entries`` rows in all."""

    name: str
    width: int
    entries: int

    @property
    def bytes(self) -> int:
        """Bytes of weights and of their inputs."""
        return 4 * self.entries * (self.width + 1)


def forms(matrix: Array, isa: Isa) -> Iterator[Form]:
    """The forms of a matrix [outputs, inputs] that leave something out."""
    outputs, inputs = matrix.shape
    kept = stored_weights(matrix, outputs)
    if kept < inputs:
        yield Form(COMPACTED, outputs, kept)
    widths = [isa.lanes * count for count in VECTORS] if isa.has_vectors else WIDTHS
    for width in widths:
        rows = stored_weights(matrix, width) if width < outputs else 0
        if rows and rows * width < matrix.size:
            yield Form(f"blocks of {width}", width, rows)
    yield Form(SINGLE, 1, stored_weights(matrix, 1))


def sparse_offers(op: Op, isa: Isa) -> Iterator[tuple[Offer, int]]:
    """All ways to compute ``op`` without zeros that its weights are known to have.

    Each comes with the bytes of weights that it stores.
    """
    map_ = linear_map(op)
    if map_ is None or not isinstance(map_.weights.encoding, Sparse):
        return
    matrix = map_.matrix()
    for form in forms(matrix, isa):
        for x, result in _layouts(map_, isa):
            kernel = _kernel(map_, form, x, result, isa)
            if kernel is not None:
                yield _offer(map_, form, x, result, kernel, isa), form.bytes


def _layouts(map_: LinearMap, isa: Isa) -> list[tuple[Layout | None, Layout | None]]:
    """How x may be stored, and the result then."""
    x, rank = map_.op.inputs[0], map_.op.inputs[0].type.rank
    pairs: list[tuple[Layout | None, Layout | None]] = [(None, None)]
    if isa.has_vectors and map_.axis == 1 and rank > 2:
        in_blocks = blocked(rank, isa.lanes)
        pairs += [(None, in_blocks), (in_blocks, None), (in_blocks, in_blocks)]
        transposed = x.op is not None and x.op.name == "tensor.transpose"
        if transposed and not map_.is_strided:
            pairs += [(channels_last(rank), None), (channels_last(rank), in_blocks)]
    return pairs


def _kernel(
    map_: LinearMap, form: Form, x: Layout | None, result: Layout | None, isa: Isa
) -> tuple[str, float] | None:
    """Who computes a form, and an estimate of its time; None if nobody does in these layouts."""
    values = TensorType((form.entries, form.width), map_.weights.dtype)
    values = values.with_layout(_values_layout(form, isa.lanes))
    types = SparseTypes(
        map_.mapped.with_layout(x),
        values,
        map_.op.result.type.with_layout(result),
        map_.axis,
    )
    if (blocks := block_shape(types, isa)) is not None:
        return SparseBlocks.name, blocks.cycles(isa)
    if (rows := row_shape(types, isa)) is not None:
        return SparseRows.name, rows.cycles(isa)
    cycles = plain_cycles(types)
    if isa.has_vectors or x is not None or result is not None or cycles is None:
        return None
    return SparseProduct.name, cycles


def _values_layout(form: Form, lanes: int) -> Layout | None:
    """How the weights of a form are stored: wide tiles vector by vector."""
    wide = form.name == COMPACTED and lanes > 1 and form.width % lanes == 0
    return packed_values(lanes) if wide else None


def _offer(
    map_: LinearMap,
    form: Form,
    x: Layout | None,
    result: Layout | None,
    kernel: tuple[str, float],
    isa: Isa,
) -> Offer:
    operands: list[Layout | None] = [x, None]
    if len(map_.op.operands) > 2:
        operands.append(None if result is None else blocked_vector(isa.lanes))
    make = partial(_replaced, map_, form, result, isa.lanes)
    name, cycles = kernel
    if map_.is_strided:
        count = map_.mapped.elements
        assert isinstance(count, int)
        cycles += count * (GATHER_CYCLES if x is None else COPY_CYCLES)
    return Offer(tuple(operands), (result,), cycles, name, make, form.name)


def _replaced(
    map_: LinearMap,
    form: Form,
    result: Layout | None,
    lanes: int,
    builder: Builder,
    operands: Sequence[Value | None],
) -> Op:
    """The sparse product in place of ``map_``'s op."""
    x, _, *rest = operands
    assert x is not None
    layout = _values_layout(form, lanes)
    stored = sparse_form(map_.matrix(), form.width)
    return map_.replace(builder, stored, x, rest[0] if rest else None, (layout, result))

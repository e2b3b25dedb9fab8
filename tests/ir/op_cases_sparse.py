"""Cases of products with sparse weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from op_cases import OpCase, data


def _case(
    note: str,
    x: tuple[int, ...],
    tiles: list[list[int]],
    width: int,
    *,
    axis: int,
    outputs: int,
    bias: bool = True,
    dtype: str = "f32",
) -> OpCase:
    """``tiles`` lists the inputs of each tile."""
    inputs = np.array([i for tile in tiles for i in tile], np.int32)
    starts = np.array([0, *np.cumsum([len(tile) for tile in tiles])], np.int32)
    values = data((len(inputs), width), dtype, salt="w")
    operands = [data(x, dtype), values, inputs, starts]
    if bias:
        operands.append(data((outputs,), dtype, salt="b"))
    attributes: dict[str, Any] = {"axis": axis, "outputs": outputs}
    return OpCase("nn.sparse_product", note, tuple(operands), attributes)


CASES = [
    _case("single", (1, 5, 3, 4), [[0, 3], [], [1, 2, 4], [4]], 1, axis=1, outputs=4),
    _case("blocks", (2, 6, 2, 5), [[5, 0], [3], []], 4, axis=1, outputs=12),
    _case("blocks-ragged", (2, 6, 2, 2), [[5, 0], [3]], 8, axis=1, outputs=11, bias=False),
    _case("one-tile", (3, 7), [[1, 2, 6]], 9, axis=1, outputs=9),
    _case("rows", (2, 3, 5), [[0, 4], [1]], 2, axis=2, outputs=3),
    _case("axes-around", (2, 2, 5, 2, 3), [[0, 4], [1]], 2, axis=2, outputs=3, dtype="f64"),
    _case("first-axis", (4, 3), [[3, 0], [1, 1]], 1, axis=0, outputs=2),
    _case("one-axis", (6,), [[5], [0, 2]], 2, axis=0, outputs=4),
    _case("many-positions", (1, 3, 9, 11), [[0, 2], [1], [0, 1, 2]], 1, axis=1, outputs=3),
    _case("no-weights", (1, 3, 2, 2), [[], []], 1, axis=1, outputs=2),
    _case("nothing", (0, 3, 2), [[1]], 2, axis=1, outputs=2),
    _case("f64", (1, 5, 4), [[0, 3], [2]], 2, axis=1, outputs=4, dtype="f64"),
    _case("f16", (1, 5, 4), [[0, 3], [2]], 2, axis=1, outputs=4, dtype="f16"),
]

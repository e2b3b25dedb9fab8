"""Positions in kernels of pooling that meet nothing but padding are not walked through."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from burnish.ir import lookup
from burnish.ir.ops.windows import meeting

SMALL = list(itertools.product((1, 2, 5), (1, 3, 6), (1, 2), (1, 2), ((0, 0), (2, 1), (5, 5))))


@pytest.mark.parametrize(("size", "kernel", "stride", "dilation", "pads"), SMALL)
def test_exactly_the_positions_that_meet_an_element_are_between_the_ends(
    size: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]
) -> None:
    count = (size + sum(pads) - (kernel - 1) * dilation - 1) // stride + 1
    if count < 1:
        pytest.skip("no window fits")
    a = lookup("nn.max_pool").complete(
        {
            "kernel": (kernel,),
            "strides": (stride,),
            "pads": pads,
            "dilations": (dilation,),
            "overhang": (0,),
        }
    )
    (found,) = meeting(a, [size], [count])
    for position in range(kernel):
        places = [o * stride + position * dilation - pads[0] for o in range(count)]
        between = places[-1] >= 0 and places[0] < size
        assert (position in found) == between


@pytest.mark.parametrize("op", ["nn.max_pool", "nn.average_pool", "nn.arg_max_pool"])
def test_kernels_may_be_as_large_as_padding(op: str) -> None:
    """A million taps per axis, of which a few see anything."""
    size = 1 << 20
    definition = lookup(op)
    attributes = definition.complete(
        {
            "kernel": (size, 2),
            "strides": (1, 1),
            "pads": (size - 1, 0, size - 1, 0),
            "dilations": (1, 1),
            "overhang": (0, 0),
        }
    )
    (rows, _) = meeting(attributes, [2, 2], [size + 1, 1])
    assert len(rows) == size  # every tap meets an element in some window
    attributes = definition.complete(
        {
            "kernel": (size, 2),
            "strides": (size, 1),
            "pads": (size - 2, 0, 0, 0),
            "dilations": (1, 1),
            "overhang": (0, 0),
        }
    )
    (rows, _) = meeting(attributes, [2, 2], [1, 1])
    assert len(rows) == 2
    x = np.array([[[[1, 2], [3, 5]]]], np.float32)
    (y,) = np.ravel(definition.evaluate(attributes, x))
    assert y == {"nn.max_pool": 5, "nn.average_pool": 2.75, "nn.arg_max_pool": 3}[op]

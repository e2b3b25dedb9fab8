"""Blocks for tests, written by functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from burnish.ir import Block, Builder, TensorType, Value


def region(types: Sequence[TensorType], write: Callable[..., Sequence[Value]]) -> Block:
    """A block that yields what ``write(builder, *arguments)`` returns."""
    block = Block(types)
    builder = Builder(block)
    builder.yield_(*write(builder, *block.args))
    return block

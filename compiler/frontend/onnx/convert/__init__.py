"""Converters: one function per operator (and per form of it, where versions differ).

One file per family.  Importing this package registers them all.
"""

from . import (
    control,
    conv,
    counted,
    einsum,
    indexing,
    math,
    matmul,
    norm,
    pool,
    quant,
    recurrent,
    reduce,
    resize,
    sample,
    sequence,
    shape,
    signal,
    tensor,
)
from .registry import Converter, converter, find_converter

__all__ = [
    "Converter",
    "control",
    "conv",
    "converter",
    "counted",
    "einsum",
    "find_converter",
    "indexing",
    "math",
    "matmul",
    "norm",
    "pool",
    "quant",
    "recurrent",
    "reduce",
    "resize",
    "sample",
    "sequence",
    "shape",
    "signal",
    "tensor",
]

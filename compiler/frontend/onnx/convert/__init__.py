"""Converters: one function per operator (and per form of it, where versions differ).

One file per family.  Importing this package registers them all.
"""

from . import (
    columns,
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
    regions,
    resize,
    sample,
    scan,
    sequence,
    shape,
    signal,
    tensor,
    trees,
)
from .registry import Converter, converter, find_converter

__all__ = [
    "Converter",
    "columns",
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
    "regions",
    "resize",
    "sample",
    "scan",
    "sequence",
    "shape",
    "signal",
    "tensor",
    "trees",
]

"""Lowerings: one function per op of the IR (or family of ops), files as in ``ir/ops``.

Importing this package registers them all.
"""

from . import (
    attention,
    control,
    conv,
    counted,
    detection,
    groups,
    indexing,
    linalg,
    matmul,
    ml,
    moves,
    normalization,
    pool,
    quant,
    recurrent,
    reduce,
    regions,
    resize,
    sample,
    signal,
    softmax,
)

__all__ = [
    "attention",
    "control",
    "conv",
    "counted",
    "detection",
    "groups",
    "indexing",
    "linalg",
    "matmul",
    "ml",
    "moves",
    "normalization",
    "pool",
    "quant",
    "recurrent",
    "reduce",
    "regions",
    "resize",
    "sample",
    "signal",
    "softmax",
]

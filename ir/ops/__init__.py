"""The op set.  Importing this package registers every op; one file per family."""

from . import (
    control,
    conv,
    core,
    indexing,
    math,
    matmul,
    normalization,
    pool,
    quant,
    recurrent,
    reduce,
    resize,
    softmax,
    tensor,
)

__all__ = [
    "control",
    "conv",
    "core",
    "indexing",
    "math",
    "matmul",
    "normalization",
    "pool",
    "quant",
    "recurrent",
    "reduce",
    "resize",
    "softmax",
    "tensor",
]

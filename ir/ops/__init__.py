"""The op set.  Importing this package registers every op; one file per family."""

from . import (
    bits,
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
    signal,
    softmax,
    tensor,
)

__all__ = [
    "bits",
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
    "signal",
    "softmax",
    "tensor",
]

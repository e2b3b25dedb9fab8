"""The pattern sets that passes apply."""

from __future__ import annotations

from functools import partial

from ..pattern import PatternSet
from ..rules.load import rules_of_set

CANONICAL = PatternSet("canonicalize", load=partial(rules_of_set, "canonicalize"))
"""Exact simplifications that never make anything larger or slower."""

MOVEMENT = PatternSet("shape-cleanup", load=partial(rules_of_set, "shape-cleanup"))
"""Moving transposes and reshapes to where they meet others, and vanish."""

AFFINE = PatternSet("fold-batch-norm", load=partial(rules_of_set, "fold-batch-norm"))
"""Per-channel scales and shifts into weights and biases (rounds differently)."""

PADS = PatternSet("fold-pad", load=partial(rules_of_set, "fold-pad"))
"""Padding into the ops that pad by themselves."""

KERNELS = PatternSet("trim-kernels", load=partial(rules_of_set, "trim-kernels"))
"""Smaller kernels: taps that cannot change a result."""

WINDOWS = PatternSet("conv-to-matmul", load=partial(rules_of_set, "conv-to-matmul"))
"""Convolutions with one window into products of matrices."""

SPACE_TO_DEPTH = PatternSet("space-to-depth", load=partial(rules_of_set, "space-to-depth"))
"""Strided convolutions of few channels into dense ones of more."""

RECOVERY = PatternSet("recover", load=partial(rules_of_set, "recover"))
"""Ops that exporters spell out by simpler ones (rounds differently)."""

INTEGERS = PatternSet("integer-products")
"""Products of quantized numbers as products of integers (rounds differently)."""

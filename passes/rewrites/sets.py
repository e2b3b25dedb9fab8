"""The pattern sets that passes apply."""

from __future__ import annotations

from ..pattern import PatternSet

CANONICAL = PatternSet("canonicalize")
"""Exact simplifications that never make anything larger or slower."""

MOVEMENT = PatternSet("shape-cleanup")
"""Moving transposes and reshapes to where they meet others, and vanish."""

AFFINE = PatternSet("fold-batch-norm")
"""Per-channel scales and shifts into weights and biases (rounds differently)."""

PADS = PatternSet("fold-pad")
"""Padding into the ops that pad by themselves."""

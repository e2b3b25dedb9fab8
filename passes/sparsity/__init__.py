"""Weights that hold zeros: where they are, how to leave them out, and how to make them.

``maps.py`` sees convolutions by 1 and matrix products as linear maps of one axis; ``patterns.py``
finds what their zeros have in common; ``forms.py`` stores what is left.  The pass
``recognize-sparsity`` writes the pattern into the type of the weights, from which backends choose
a kernel; ``prune-weights`` makes zeros.
"""

from __future__ import annotations

from .forms import SparseForm, sparse_form, stored_weights
from .maps import LinearMap, ZeroCount, count_zeros, linear_map
from .patterns import pattern_of
from .prune import PruneWeights
from .recognize import RecognizeSparsity

__all__ = [
    "LinearMap",
    "PruneWeights",
    "RecognizeSparsity",
    "SparseForm",
    "ZeroCount",
    "count_zeros",
    "linear_map",
    "pattern_of",
    "sparse_form",
    "stored_weights",
]

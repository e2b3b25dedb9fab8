"""The forms in which ops occur in exported models, and what is recovered from each."""

from __future__ import annotations

from .activations import activations
from .attentions import attentions
from .form import Form
from .narrow import of_narrow_floats
from .normalizations import normalizations
from .rotaries import rotaries
from .rows import rows_of_matrices

__all__ = ["FORMS", "Form"]

FORMS = [
    *activations(),
    *normalizations(),
    *attentions(),
    *rotaries(),
    *of_narrow_floats(),
    *rows_of_matrices(),
]

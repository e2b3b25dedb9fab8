"""Layouts: one choice for the whole graph of how each tensor is stored."""

from __future__ import annotations

from .assignment import Chosen, choose_layouts
from .layout import LayoutPass
from .materialize import lay_out
from .minimize import Assignment, Factor, minimize
from .offers import LayoutModel, Layouts, Offer, layout_model, layout_models, register_layouts

__all__ = [
    "Assignment",
    "Chosen",
    "Factor",
    "LayoutModel",
    "LayoutPass",
    "Layouts",
    "Offer",
    "choose_layouts",
    "lay_out",
    "layout_model",
    "layout_models",
    "minimize",
    "register_layouts",
]

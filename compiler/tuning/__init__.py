"""Tuning: kernels are timed on this machine, and the pass ``layout`` chooses by that."""

from .layouts import TunedLayout, tuned_pipeline
from .measure import Measurements

__all__ = ["Measurements", "TunedLayout", "tuned_pipeline"]

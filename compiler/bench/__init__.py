"""How fast models run: what burnish emits beside other engines, in one process and in turns."""

from __future__ import annotations

from .data import Layer, Measurement, Timing
from .engines import ENGINES, installed_engines
from .measure import measure

__all__ = ["ENGINES", "Layer", "Measurement", "Timing", "installed_engines", "measure"]

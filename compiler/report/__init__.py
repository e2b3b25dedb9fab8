"""Reports on a compilation: data first; tables, JSON and a page are drawn from it."""

from .data import Buffer, Layer, Memory, PassRun, Port, Report, Sizes

__all__ = ["Buffer", "Layer", "Memory", "PassRun", "Port", "Report", "Sizes"]

"""The text form of the IR: a printer and a parser that round-trip exactly."""

from .parser import parse
from .printer import to_text

__all__ = ["parse", "to_text"]

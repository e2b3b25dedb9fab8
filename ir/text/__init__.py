"""The text form of the IR: a printer and a parser that round-trip exactly."""

from .parser import parse, parse_dim
from .printer import to_text

__all__ = ["parse", "parse_dim", "to_text"]

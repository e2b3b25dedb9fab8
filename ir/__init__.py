"""The graph IR: typed SSA, its ops, text form, verifier and reference interpreter.

This is the public door of the package; other packages import from here.
"""

from . import ops
from .attributes import Attributes, AttributeValue
from .builder import Builder, build_function
from .constants import Array, Constant
from .core import Block, Function, Module, Op, Use, Value
from .dims import Dim, DimExpr, symbol
from .dtypes import DType, Kind
from .errors import Error, InternalError
from .interpreter import interpret
from .locations import UNKNOWN, Location, Source
from .opdef import Cost, OpDef, Trait, lookup, register, registry
from .rewriter import Listener, Rewriter
from .sizes import defined_symbol, is_unused
from .text import parse, parse_dim, to_text
from .types import Encoding, Layout, Quantized, Sparse, TensorType, broadcast_shapes, tensor
from .verifier import verify

register_op = register
"""The name of :func:`register` in the public API."""

__all__ = [
    "UNKNOWN",
    "Array",
    "AttributeValue",
    "Attributes",
    "Block",
    "Builder",
    "Constant",
    "Cost",
    "DType",
    "Dim",
    "DimExpr",
    "Encoding",
    "Error",
    "Function",
    "InternalError",
    "Kind",
    "Layout",
    "Listener",
    "Location",
    "Module",
    "Op",
    "OpDef",
    "Quantized",
    "Rewriter",
    "Source",
    "Sparse",
    "TensorType",
    "Trait",
    "Use",
    "Value",
    "broadcast_shapes",
    "build_function",
    "defined_symbol",
    "interpret",
    "is_unused",
    "lookup",
    "ops",
    "parse",
    "parse_dim",
    "register",
    "register_op",
    "registry",
    "symbol",
    "tensor",
    "to_text",
    "verify",
]

"""Passes: graph to graph rewrites on burnish.ir.

This is the public door of the package; other packages import from here.
"""

from . import (
    canonicalize,
    channels,
    cse,
    dce,
    fold,
    fold_affine,
    fuse,
    gather_rows,
    horizontal,
    integer_products,
    kernels,
    layout,
    loops,
    recover,
    shape_cleanup,
    sparsity,
    user_rules,
)
from .base import (
    FunctionPass,
    Pass,
    PassContext,
    make_pass,
    option_name,
    passes,
    register_pass,
)
from .instruments import Instrument, PrintAfter, VerifyEach
from .manager import VERIFY_MODES, PassManager, PassRecord, PassReport, count_ops, run_pipeline
from .pattern import Match, Outcome, Pattern, PatternPass, PatternSet, Refusal
from .pipeline import parse_pipeline, pipeline_text, with_fast_math, with_option
from .pipelines import STAGES, standard_pipeline, standard_stages
from .rules import load_rules, rule_function

__all__ = [
    "STAGES",
    "VERIFY_MODES",
    "FunctionPass",
    "Instrument",
    "Match",
    "Outcome",
    "Pass",
    "PassContext",
    "PassManager",
    "PassRecord",
    "PassReport",
    "Pattern",
    "PatternPass",
    "PatternSet",
    "PrintAfter",
    "Refusal",
    "VerifyEach",
    "canonicalize",
    "channels",
    "count_ops",
    "cse",
    "dce",
    "fold",
    "fold_affine",
    "fuse",
    "gather_rows",
    "horizontal",
    "integer_products",
    "kernels",
    "layout",
    "load_rules",
    "loops",
    "make_pass",
    "option_name",
    "parse_pipeline",
    "passes",
    "pipeline_text",
    "recover",
    "register_pass",
    "rule_function",
    "run_pipeline",
    "shape_cleanup",
    "sparsity",
    "standard_pipeline",
    "standard_stages",
    "user_rules",
    "with_fast_math",
    "with_option",
]

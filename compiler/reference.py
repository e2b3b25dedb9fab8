"""The op reference, docs/ops.md, from the registry."""

from __future__ import annotations

import inspect
from itertools import groupby

from burnish.ir import OpDef, registry
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.opdef import REQUIRED, OperandSpec

_INTRODUCTION = """# Ops

The op set of the graph IR, one entry per op, as its definition declares it.  This page is
written by `burnish ops --markdown`; `burnish ops NAME` shows one entry.
"""


def ops_reference() -> str:
    """Markdown of all ops, by family and name."""
    definitions = sorted(registry().values(), key=lambda definition: definition.name)
    parts = [_INTRODUCTION]
    for family, members in groupby(definitions, key=lambda d: d.name.partition(".")[0]):
        parts.append(f"## {family}\n")
        parts += [_entry(definition) for definition in members]
    return "\n".join(parts)


def _entry(definition: OpDef) -> str:
    lines = [f"### {definition.name}", "", inspect.cleandoc(definition.doc), ""]
    if isinstance(definition, ElementwiseOp):
        lines += [f"Computes `{definition.formula}`.", ""]
    rows = [_operand(name, spec) for name, spec in definition.operands.items()]
    for name, attribute in definition.attributes.items():
        default = "" if attribute.default is REQUIRED else f", default `{attribute.default!r}`"
        rows.append(f"- attribute `{name}`: {attribute.kind}{default}. {_sentence(attribute.doc)}")
    rows += [f"- region `{name}`" for name in definition.regions]
    if rows:
        lines += [*(row.rstrip() for row in rows), ""]
    if definition.traits:
        lines += [f"Traits: {', '.join(sorted(t.name.lower() for t in definition.traits))}.", ""]
    return "\n".join(lines)


def _operand(name: str, spec: OperandSpec) -> str:
    marks = [m for m, on in (("optional", spec.optional), ("variadic", spec.variadic)) if on]
    extra = f" ({', '.join(marks)})" if marks else ""
    return f"- operand `{name}`{extra}{f': {_sentence(spec.doc)}' if spec.doc else ''}"


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") or not text else ".")

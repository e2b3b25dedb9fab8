"""Checks at run time that can be decided at compile time."""

from __future__ import annotations

from burnish.ir.errors import ModelError
from burnish.ir.ops.require import Require

from ..pattern import Match, Outcome
from .sets import CANONICAL


@CANONICAL.pattern("known-requirement", "control.require", benefit=3)
def known_requirement(m: Match) -> Outcome:
    """A check of known integers: x itself where they are right.

    Where they are not the model cannot run, which is an error now; inside of a region it is
    left as it is, because the region may never run.

    Raises:
        ModelError: the integers are wrong, and the op runs whenever the model does.
    """
    actual = m.constant(m.operand(1))
    m.static(m.op.attributes.expected)
    problem = Require.problem(m.op.attributes, actual)
    if problem and m.op.parent is not None and m.op.parent.parent_op is None:
        raise ModelError(problem, at=str(m.op.location) if m.op.location else "")
    m.require(not problem, "the check fails, but may never run")
    return m.operand(0)

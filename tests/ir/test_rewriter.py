"""Rewriting keeps use lists, order and locations right."""

from __future__ import annotations

import pytest

from burnish import ir
from burnish.ir.errors import InternalError
from burnish.ir.locations import MAX_SOURCES, Location


def chain(length: int) -> ir.Module:
    module = ir.Module("m")
    function, builder = ir.build_function(module, "main", {"x": ir.tensor("f32", 4)}, ["y"])
    value = function.args[0]
    for index in range(length):
        builder.location = Location.node(f"node{index}", "Neg")
        value = builder("math.neg", value)
    builder.ret(value)
    return module


class Log:
    def __init__(self) -> None:
        self.events: list[str] = []

    def created(self, op: ir.Op) -> None:
        self.events.append(f"+{op.name}")

    def modified(self, op: ir.Op) -> None:
        self.events.append(f"~{op.name}")

    def erased(self, op: ir.Op) -> None:
        self.events.append(f"-{op.name}")


def test_replace_joins_locations_and_reports():
    module = chain(2)
    first, second, _ = module.main.body
    log = Log()
    rewriter = ir.Rewriter(log)
    new = rewriter.replace_with(second, "math.abs", [first.operands[0]], absorbed=[first])
    rewriter.erase(first)
    ir.verify(module)
    assert [source.name for source in new.location.sources] == ["node0", "node1"]
    assert log.events == ["+math.abs", "~core.return", "-math.neg", "-math.neg"]
    assert rewriter.changes == 4


def test_erasing_a_used_op_is_refused():
    module = chain(2)
    with pytest.raises(InternalError, match="has uses"):
        ir.Rewriter().erase(module.main.body.first)


def test_types_must_agree():
    module = chain(2)
    first, second, _ = module.main.body
    rewriter = ir.Rewriter()
    other = rewriter.before(first)("math.cast", module.main.args[0], to=ir.DType.F64)
    with pytest.raises(InternalError, match="replaced by"):
        rewriter.replace_all_uses(first.result, other)
    with pytest.raises(InternalError, match="replaced by"):
        rewriter.set_operand(second, 0, other)


def test_iteration_survives_erasing_and_inserting():
    module = chain(6)
    rewriter = ir.Rewriter()
    seen = 0
    for op in module.main.body:
        seen += 1
        inner = op.inputs[0].op
        if op.name == "math.neg" and inner is not None and inner.name == "math.neg":
            rewriter.replace(op, inner.inputs[0])
            rewriter.erase(inner)
    ir.verify(module)
    assert len(module.main.body) == 1
    assert seen == 7


def test_order_is_kept_through_moves():
    module = chain(4)
    a, b, c, d, _ = module.main.body
    assert a.is_before(d)
    extra = ir.Rewriter().before(b)("math.abs", module.main.args[0]).op
    ir.Rewriter().move_before(extra, d)
    assert c.is_before(extra)
    assert extra.is_before(d)
    ir.verify(module)


def test_joined_locations_are_bounded():
    location = Location.join(*(Location.node(f"n{i}") for i in range(100)))
    assert len(location.sources) == MAX_SOURCES


def test_replace_all_uses_is_linear():
    module = ir.Module("m")
    function, builder = ir.build_function(module, "main", {"x": ir.tensor("f32", 4)}, ["y"])
    x = builder("math.neg", function.args[0])
    values = [builder("math.abs", x) for _ in range(20_000)]
    builder.ret(values[-1])
    ir.Rewriter().replace_all_uses(x, function.args[0])
    assert x.use_count == 0
    assert function.args[0].use_count == 20_001

"""The pattern driver: worklist, termination, statistics, discipline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from burnish.ir import InternalError, Module, Value, build_function, parse, tensor
from burnish.ir.errors import PassError
from burnish.passes import Match, Outcome, PassContext, PatternSet
from burnish.passes.pattern import apply_patterns


def chain(name: str, length: int) -> Module:
    module = Module()
    function, b = build_function(module, "main", {"x": tensor("f32", 4)}, ["y"])
    value: Value = function.args[0]
    for _ in range(length):
        value = b(name, value)
    b.ret(value)
    return module


def names(module: Module) -> list[str]:
    return [op.name for op in module.main.body]


def become(name: str) -> Callable[[Match], Outcome]:
    def rewrite(m: Match) -> Outcome:
        return m.build(name, m.operand(0))

    return rewrite


def test_rewrites_reach_a_fixpoint_and_are_counted() -> None:
    patterns = PatternSet("test")
    patterns.pattern("sin-to-cos", "math.sin")(become("math.cos"))
    patterns.pattern("cos-to-tan", "math.cos")(become("math.tan"))
    module, context = chain("math.sin", 5), PassContext()
    assert apply_patterns(module.main, patterns, context)
    assert names(module) == ["math.tan"] * 5 + ["core.return"]
    assert context.rewrites == {"sin-to-cos": 5, "cos-to-tan": 5}
    assert not apply_patterns(module.main, patterns, PassContext())


def test_the_better_pattern_is_tried_first() -> None:
    patterns = PatternSet("test")
    patterns.pattern("worse", "math.sin")(become("math.cos"))
    patterns.pattern("better", "math.sin", benefit=2)(become("math.tan"))
    module = chain("math.sin", 1)
    apply_patterns(module.main, patterns, PassContext())
    assert names(module)[0] == "math.tan"


def test_patterns_that_undo_each_other_are_named() -> None:
    patterns = PatternSet("test")
    patterns.pattern("sin-to-cos", "math.sin")(become("math.cos"))
    patterns.pattern("cos-to-sin", "math.cos")(become("math.sin"))
    with pytest.raises(PassError) as caught:
        apply_patterns(chain("math.sin", 3).main, patterns, PassContext())
    assert "sin-to-cos" in caught.value.message
    assert "cos-to-sin" in caught.value.message
    assert "undo each other" in caught.value.message


def test_a_pattern_that_feeds_itself_is_named() -> None:
    patterns = PatternSet("test")

    @patterns.pattern("grow", "math.sin")
    def grow(m: Match) -> Outcome:
        """Grows without end, two at a time."""
        return m.build("math.sin", m.build("math.sin", m.operand(0)))

    with pytest.raises(PassError, match="grow applies to its own result"):
        apply_patterns(chain("math.sin", 1).main, patterns, PassContext())


def test_dead_producers_go_and_last_users_are_visited_again() -> None:
    patterns = PatternSet("test")

    @patterns.pattern("only-user", "math.neg")
    def only_user(m: Match) -> Outcome:
        """Matches once the other user of its operand is gone."""
        m.producer(m.operand(0), "math.exp", one_use=True)
        return m.build("math.abs", m.operand(0))

    module = parse(
        """module "m" { func @main(%x: tensor<f32[2]>) -> ("y": tensor<f32[2]>) {
          %0 = math.exp(%x)
          %1 = math.neg(%0)
          %2 = math.sin(%0)
          %3 = math.cos(%2)
          core.return(%1)
        } }"""
    )
    apply_patterns(module.main, patterns, PassContext())
    assert names(module) == ["math.exp", "math.abs", "core.return"]


def test_refusing_after_a_change_is_a_bug() -> None:
    patterns = PatternSet("test")

    @patterns.pattern("hasty", "math.sin")
    def hasty(m: Match) -> Outcome:
        """Builds first, asks later."""
        m.build("math.cos", m.operand(0))
        m.refuse("too late")

    with pytest.raises(InternalError, match=r"hasty \(test_driver.py:\d+\) changed the graph"):
        apply_patterns(chain("math.sin", 1).main, patterns, PassContext())


def test_changing_nothing_is_a_bug() -> None:
    patterns = PatternSet("test")
    patterns.pattern("idle", "math.sin")(lambda m: None)
    with pytest.raises(InternalError, match="changed nothing"):
        apply_patterns(chain("math.sin", 1).main, patterns, PassContext())


def test_a_replacement_of_another_type_is_refused() -> None:
    patterns = PatternSet("test")
    patterns.pattern("ill-typed", "math.cast")(lambda m: m.operand(0))
    module = parse(
        """module "m" { func @main(%x: tensor<f32[2]>) -> ("y": tensor<i32[2]>) {
          %0 = math.cast(%x) {to = i32}
          core.return(%0)
        } }"""
    )
    context = PassContext()
    assert not apply_patterns(module.main, patterns, context)
    assert context.refusals == {("ill-typed", "the replacement has another type"): 1}


def test_a_name_is_given_once() -> None:
    patterns = PatternSet("test")
    patterns.pattern("twin", "math.sin")(become("math.cos"))
    with pytest.raises(ValueError, match=r"twin is defined at test_driver.py:\d+ and"):
        patterns.pattern("twin", "math.cos")(become("math.sin"))


def test_locations_are_joined() -> None:
    patterns = PatternSet("test")

    @patterns.pattern("merge", "math.cos")
    def merge(m: Match) -> Outcome:
        """Merges cos(sin(x))."""
        return m.build("math.tan", m.producer(m.operand(0), "math.sin").operands[0])

    module = parse(
        """module "m" { func @main(%x: tensor<f32[2]>) -> ("y": tensor<f32[2]>) {
          %0 = math.sin(%x) loc("a": "Sin")
          %1 = math.cos(%0) loc("b": "Cos")
          core.return(%1)
        } }"""
    )
    apply_patterns(module.main, patterns, PassContext())
    first = module.main.body.first
    assert first is not None
    assert [source.name for source in first.location.sources] == ["a", "b"]


def test_work_is_linear() -> None:
    """Attempts, not seconds: those depend on what else the machine does."""
    patterns = PatternSet("test")
    attempts = 0

    @patterns.pattern("become", "math.sin")
    def become_cos(m: Match) -> Outcome:
        """Becomes cos."""
        nonlocal attempts
        attempts += 1
        return m.build("math.cos", m.operand(0))

    @patterns.pattern("count", "math.cos")
    def count(m: Match) -> Outcome:
        """Only counts."""
        nonlocal attempts
        attempts += 1
        m.refuse("never")

    def work(length: int) -> int:
        nonlocal attempts
        attempts = 0
        apply_patterns(chain("math.sin", length).main, patterns, PassContext())
        return attempts

    assert work(4000) <= 4 * work(1000)


def test_an_erased_op_is_not_visited_again() -> None:
    """The root uses a value both itself and through another user of it, as softmax does."""
    patterns = PatternSet("test")

    @patterns.pattern("quotient-to-tan", "math.div")
    def quotient_to_tan(m: Match) -> Outcome:
        """e / sum(e), to anything."""
        m.producer(m.producer(m.operand(1), "tensor.reduce").operands[0], "math.exp")
        return m.build("math.tan", m.producer(m.operand(0), "math.exp").operands[0])

    deep = PatternSet("deep", [replace(pattern, depth=3) for pattern in patterns])
    module = Module()
    function, b = build_function(module, "main", {"x": tensor("f32", 1)}, ["y"])
    power = b("math.exp", function.args[0])
    total = b("tensor.reduce", power, kind="sum", axes=[0], keep_dims=True)
    b.ret(b("math.div", power, total))
    assert apply_patterns(module.main, deep, PassContext())
    assert names(module) == ["math.tan", "core.return"]

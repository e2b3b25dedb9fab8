"""Journals, reproducers and reduction: what is found is written, repeated and made small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import wrong_rewrites as wrong

from burnish.ir import Array, Module, Op, build_function, interpret, parse, tensor, verify
from burnish.ir.errors import Error, MismatchError, ParseError, PassError, VerifyError
from burnish.passes import (
    Match,
    Outcome,
    Pass,
    PassContext,
    PatternPass,
    PatternSet,
    base,
    count_ops,
    make_pass,
    run_pipeline,
    standard_pipeline,
)
from burnish.passes.journal import Journal
from burnish.passes.promises import EXACT, FAST_MATH, ROUNDING, weakest
from burnish.passes.trust import (
    CRASH,
    INVALID,
    MISMATCH,
    Failure,
    KeepReproducer,
    Reproducer,
    compare_modules,
    draws,
    draws_for,
    find_failure,
    measure,
    parse_reproducer,
    reduce,
    reduce_with_inputs,
    shrink,
)

MAX_TRIED = 400
"""Modules that the reduction of one of the wrong rewrites may try: work, not seconds."""


def register(pass_: Pass) -> Pass:
    base._PASSES[pass_.name] = type(pass_)
    return pass_


# Limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("pipeline", ["canonicalize", "fold", "cse", "dce", "fuse"])
def test_a_limit_stops_any_pass(pipeline: str) -> None:
    text = str(wrong.CASES[0].module(24))
    report = run_pipeline(parse(text), pipeline)
    total = sum(report.rewrites.values())
    for limit in range(total + 1):
        module = parse(text)
        limited = run_pipeline(module, pipeline, rewrite_limit=limit)
        assert sum(limited.rewrites.values()) == min(limit, total)
        verify(module)


def test_a_limit_holds_over_all_passes() -> None:
    module = wrong.CASES[0].module(40)
    report = run_pipeline(module, standard_pipeline("c"), rewrite_limit=9)
    assert sum(report.rewrites.values()) == 9
    assert [record.changed for record in report.records][-1] is False


def test_a_limit_of_none_changes_nothing() -> None:
    module = wrong.CASES[0].module(10)
    before = str(module)
    assert not run_pipeline(module, standard_pipeline("c"), rewrite_limit=0).changed
    assert str(module) == before


def test_a_pass_that_does_not_count_is_one_rewrite() -> None:
    class Rename(Pass):
        name = "rename"

        def run(self, module: Module, context: PassContext) -> bool:
            module.name = f"{module.name}x"
            return True

    for limit, expected in [(0, "m"), (1, "mx"), (5, "mxx")]:
        module = Module("m")
        run_pipeline(module, [Rename(), Rename()], rewrite_limit=limit)
        assert module.name == expected


def test_the_journal_names_its_rewrites() -> None:
    journal = Journal()
    assert journal.last is None
    journal.enter("first")
    assert str(journal.last) == "rewrite 1, first"
    op = parse(PAIR).main.body.first
    assert isinstance(op, Op)
    journal.fail("second", op)
    assert str(journal.failing) == 'rewrite 2, second at math.neg, node "a" (Neg)'


def test_the_weakest_promise_counts() -> None:
    assert weakest([]) == EXACT
    assert weakest([ROUNDING, EXACT]) == ROUNDING
    assert weakest([ROUNDING, FAST_MATH, EXACT]) == FAST_MATH


# Comparison --------------------------------------------------------------------------------

PAIR = """module "m" { func @main(%x: tensor<f32[2]>) -> ("y": tensor<f32[2]>) {
  %0 = math.neg(%x) loc("a": "Neg")
  %1 = math.exp(%0)
  core.return(%1)
} }"""


def unary(*names: str, types: str = "f32[N, 3]", symbols: str = "") -> Module:
    lines = [f"%v{i + 1} = {name}(%v{i})" for i, name in enumerate(names)]
    body = "\n".join(lines)
    return parse(
        f'module "m" {{ {symbols} func @main(%v0: tensor<{types}>) -> ("y": tensor<{types}>) {{'
        f"{body}\ncore.return(%v{len(names)}) }} }}"
    )


def test_symbols_take_several_sizes_in_their_range() -> None:
    module = unary("math.neg", symbols="symbols {N = 2..4}")
    sizes = {len(draw.inputs["v0"]) for draw in draws(module)}
    assert sizes == {2, 3, 4}


def test_draws_depend_on_the_seed_alone() -> None:
    module = unary("math.neg", types="f16[5]")
    first, again, other = (list(draws(module, seed)) for seed in (1, 1, 2))
    assert all((a.inputs["v0"].tobytes() == b.inputs["v0"].tobytes()) for a, b in zip(first, again))
    assert any((a.inputs["v0"].tobytes() != b.inputs["v0"].tobytes()) for a, b in zip(first, other))


@pytest.mark.parametrize(
    "dtype", ["f64", "f16", "bf16", "f8e4m3fn", "i4", "u8", "i64", "u64", "bool", "c64"]
)
def test_every_element_type_is_drawn(dtype: str) -> None:
    module = parse(
        f'module "m" {{ func @main(%x: tensor<{dtype}[4]>) -> ("y": tensor<{dtype}[4]>) {{'
        "core.return(%x) } }"
    )
    assert compare_modules(module, module.copy()) is None


def test_the_sign_of_zero_counts_where_it_is_defined() -> None:
    def plus_zero(more: str) -> Module:
        return parse(
            'module "m" { func @main(%x: tensor<f32[8]>) -> ("y": tensor<f32[8]>) {'
            f"{more} core.return(%y) }} }}"
        )

    zero = "%c = core.constant() {value = dense<f32[], [0.0]>} "
    added = plus_zero(f"{zero} %y = math.add(%x, %c)")
    kept = plus_zero(f"{zero} %y = math.sub(%x, %c)")
    found = compare_modules(added, kept)
    assert found is not None
    assert "-0.0" in str(found)
    assert compare_modules(added, kept, promise=ROUNDING) is None
    # max(0, -0) may be either, so nothing is known of what is added to it.
    relu = plus_zero("%y = math.relu(%x)")
    negated = plus_zero(
        "%a = math.neg(%x) %b = math.clamp(%a) {low = -inf, high = 0.0} %y = math.neg(%b)"
    )
    assert compare_modules(relu, negated) is None


def test_rounding_is_judged_by_what_follows_it() -> None:
    """A rounding error before a comparison is no mismatch, a wrong threshold is one."""

    def threshold(factor: str, divide: bool, bound: float) -> Module:
        function = "div" if divide else "mul"
        return parse(
            'module "m" { func @main(%x: tensor<f32[64]>) -> ("y": tensor<i32[64]>) {'
            f"%c = core.constant() {{value = dense<f32[], [{factor}]>}}"
            f"%s = math.{function}(%x, %c) %r = math.floor(%s)"
            f"%b = core.constant() {{value = dense<f32[], [{bound}]>}}"
            "%d = math.add(%r, %b) %y = math.cast(%d) {to = i32} core.return(%y) } }"
        )

    before = threshold("10.0", True, 1.0)
    assert compare_modules(before, threshold("0.1", False, 1.0), promise=ROUNDING) is None
    assert compare_modules(before, threshold("0.11", False, 1.0), promise=ROUNDING) is not None
    assert compare_modules(before, threshold("0.1", False, 2.0), promise=ROUNDING) is not None


def test_what_refuses_its_inputs_is_not_compared() -> None:
    text = (
        'module "m" { func @main(%x: tensor<f32[3]>, %i: tensor<i64[2]>) -> '
        '("y": tensor<f32[2]>) { %y = tensor.gather(%x, %i) {axis = 0} core.return(%y) } }'
    )
    module = parse(text)
    assert compare_modules(module, module.copy()) is None
    wrong_axis = parse(text.replace("%y = tensor", "%z = math.neg(%x) %y = tensor").replace(
        "gather(%x", "gather(%z"))  # fmt: skip
    assert compare_modules(module, wrong_axis) is not None


def test_nothing_that_can_be_interpreted_is_noted() -> None:
    module = parse(
        'module "m" { func @main(%i: tensor<i64[2]>) -> ("y": tensor<f32[2]>) {'
        "%x = core.constant() {value = dense<f32[1], [1.0]>}"
        "%c = core.constant() {value = dense<i64[], [9]>}"
        "%j = math.max(%i, %c) %n = math.neg(%x) %y = tensor.gather(%n, %j) {axis = 0}"
        "core.return(%y) } }"
    )
    report = run_pipeline(module, "fold", verify="semantic")
    assert len(report.notes) == 1
    assert "can be interpreted" in report.notes[0]


# Failures, reproducers, reduction ------------------------------------------------------------


def failing_pass(kind: str) -> Pass:
    """A pass that goes wrong at the second math.tanh: it crashes, or leaves a broken op."""
    patterns = PatternSet("bad")

    @patterns.pattern("tanh-to-sin", "math.tanh")
    def rewrite(m: Match) -> Outcome:
        """Right once."""
        if m.operand(0).op is not None and m.operand(0).op.name == "math.exp":  # type: ignore[union-attr]
            if kind == CRASH:
                raise AttributeError("no such thing")
            value = m.build("math.sin", m.operand(0))
            m.rewriter.replace(m.op, value)
            value.type = value.type.with_shape([9, 9])
            return None
        return m.build("math.sin", m.operand(0))

    class Bad(PatternPass):
        """Goes wrong."""

    Bad.name, Bad.patterns = "bad", patterns
    return Bad()


def bad_module() -> Module:
    names = ["math.neg", "math.tanh", "math.abs"] * 5
    return unary(*names, "math.exp", "math.tanh", *names, types="f32[5, 3]")


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("kind", [CRASH, INVALID])
def test_crashes_and_invalid_modules_are_bisected_and_reduced(kind: str) -> None:
    pass_ = register(failing_pass(kind))
    found = find_failure(bad_module(), [make_pass("cse"), pass_], [])
    assert found is not None
    before, failure = found
    assert failure.kind == kind
    assert failure.rewrite is not None
    assert failure.rewrite.name == "tanh-to-sin"
    assert failure.rewrite.number == 6
    reproducer = Reproducer(before, "cse,dce,bad,fold{limit=9}", failure)
    small = shrink(parse_reproducer(str(reproducer)))
    assert small.passes == "bad"
    assert sorted(op.name for op in small.module.walk()) == ["core.return", "math.exp", "math.tanh"]
    assert [arg.type.rank for arg in small.module.main.args] == [0]


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("case", wrong.CASES, ids=lambda case: case.name)
def test_wrong_rewrites_become_small(case: Any) -> None:
    pass_ = register(case.make_pass())
    module = case.module(60)
    found = find_failure(module, [pass_], draws_for(module))
    assert found is not None
    tried: list[float] = []
    small = shrink(
        Reproducer(found[0], "dce,wrong,dce", found[1]), progress=lambda _, n: tried.append(n)
    )
    assert len(tried) < MAX_TRIED
    assert small.passes == "wrong"
    assert count_ops(small.module) <= 3
    assert small.failure.rewrite is not None
    assert small.failure.rewrite.name == case.name
    again = parse_reproducer(str(small))
    assert str(again) == str(small)
    assert again.failure.draw is not None
    repeated = find_failure(again.module, again.pipeline(), [again.failure.draw])
    assert repeated is not None
    assert repeated[1].signature == small.failure.signature


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize("mode", ["off", "each", "semantic"])
def test_a_reproducer_is_kept_of_whatever_fails(mode: str) -> None:
    kept: list[Reproducer] = []

    def keep(reproducer: Reproducer) -> str:
        kept.append(reproducer)
        return "there.burnish"

    kind = {"off": CRASH, "each": INVALID, "semantic": MISMATCH}[mode]
    case = wrong.CASES[0]
    pass_ = register(case.make_pass() if kind == MISMATCH else failing_pass(kind))
    module = case.module(20) if kind == MISMATCH else bad_module()
    expected = {CRASH: AttributeError, INVALID: VerifyError, MISMATCH: MismatchError}[kind]
    watch = [KeepReproducer(keep)]
    with pytest.raises(expected) as caught:
        run_pipeline(module, [make_pass("cse"), pass_], verify=mode, instruments=watch)
    said = getattr(caught.value, "help", "") + getattr(caught.value, "reproducer", "")
    assert "--replay there.burnish" in said
    [reproducer] = kept
    assert (reproducer.failure.kind, reproducer.passes) == (kind, pass_.name)
    assert (reproducer.failure.draw is not None) == (kind == MISMATCH)


def test_a_reproducer_that_cannot_be_written_hides_nothing() -> None:
    def keep(reproducer: Reproducer) -> str:
        raise OSError("the disk is full")

    with pytest.raises(AttributeError, match="no such thing") as caught:
        run_pipeline(bad_module(), [failing_pass(CRASH)], instruments=[KeepReproducer(keep)])
    assert "the disk is full" in caught.value.reproducer  # type: ignore[attr-defined]


def test_no_pass_is_blamed_for_what_it_was_given() -> None:
    module = bad_module()
    assert module.main.body.first is not None
    module.main.body.first.result.type = module.main.args[0].type.with_shape([1])
    kept: list[Reproducer] = []
    with pytest.raises(Error):
        run_pipeline(
            module,
            "dce",
            verify="each",
            instruments=[KeepReproducer(lambda r: str(kept.append(r)))],
        )
    assert not kept


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("//! burnish", "// burnish", "no header"),
        ("reproducer 1", "reproducer 9", "has format 9"),
        ('//! failure: "crash"\n', "", "damaged"),
        ("//! seed: 3", "//! seed", "damaged"),
        ("//! seed: 3", "//! seed: x", "damaged"),
        ("math.exp", "math.expp", "math.expp"),
    ],
)
def test_damaged_reproducers_are_refused(old: str, new: str, message: str) -> None:
    text = str(Reproducer(parse(PAIR), "dce", Failure(CRASH, "dce", "said"), seed=3))
    assert parse_reproducer(text).seed == 3
    with pytest.raises(ParseError, match=message):
        parse_reproducer(text.replace(old, new))


def test_a_reproducer_is_a_module_too() -> None:
    reproducer = Reproducer(parse(PAIR), "", Failure(CRASH, "dce", 'a "b"\nc'))
    assert parse(str(reproducer)) == reproducer.module
    assert parse_reproducer(str(reproducer)).failure.message == 'a "b"\nc'


def test_passes_to_load_are_named() -> None:
    reproducer = Reproducer(parse(PAIR), "mine", Failure(CRASH, "mine", ""), load=("my.py",))
    with pytest.raises(PassError) as caught:
        reproducer.pipeline()
    assert "--load my.py" in caught.value.help


def test_any_predicate_can_be_reduced_by() -> None:
    module = wrong.CASES[1].module(50)
    original = str(module)

    def has_reduction(candidate: Module) -> bool:
        return any(op.name == "tensor.reduce" for op in candidate.walk())

    small = reduce(module, has_reduction)
    assert str(module) == original
    assert count_ops(small) == 1
    assert measure(small) < measure(module)
    assert str(reduce(module, has_reduction)) == str(small)
    with pytest.raises(ValueError, match="does not hold"):
        reduce(small, lambda candidate: False)


def test_reduction_reaches_into_regions_and_symbols() -> None:
    module = parse(
        """module "m" {
          symbols {N = 2..9}
          func @main(%x: tensor<f32[N, 6]>, %c: tensor<bool[]>) -> ("y": tensor<f32[N, 6]>) {
            %g = core.group(%x) region(%a: tensor<f32[N, 6]>) {
              %0 = math.exp(%a)
              %1 = math.tanh(%0)
              core.yield(%1)
            }
            %i = control.if(%c, %g) region(%a: tensor<f32[N, 6]>) {
              %2 = math.sin(%a)
              core.yield(%2)
            } region(%a: tensor<f32[N, 6]>) {
              %3 = math.cos(%a)
              core.yield(%3)
            }
            core.return(%i)
          }
        }"""
    )
    small = reduce(module, lambda m: any(op.name == "math.sin" for op in m.walk()))
    assert [op.name for op in small.walk()] == ["math.sin", "core.return"]
    assert small.main.args[0].type.shape == ()
    kept = reduce(module, lambda m: any(op.name == "control.if" for op in m.walk()))
    assert [op.name for op in kept.main.body] == ["control.if", "core.return"]


def test_blobs_travel_with_a_reproducer() -> None:
    weights = np.arange(60, dtype=np.float32).reshape(6, 10)
    module = Module("m")
    function, b = build_function(module, "main", {"x": tensor("f32", 2, 6)}, ["y"])
    b.ret(b("nn.matmul", function.args[0], b.constant(weights)))
    text = str(Reproducer(module, "dce", Failure(CRASH, "dce", "")))
    x = {"x": np.ones((2, 6), np.float32)}
    expected = interpret(module, x)["y"]
    del module
    np.testing.assert_array_equal(interpret(parse_reproducer(text).module, x)["y"], expected)
    assert "resources" in text


def test_inputs_follow_what_is_made_small() -> None:
    """The result of an op becomes an input that is what it was; sizes and symbols are cut."""
    module = parse("""module "m" {
      symbols {N = 1..9}
      func @main(%x: tensor<f32[4, N]>, %z: tensor<f32[4, N]>) -> ("y": tensor<f32[4, N]>) {
        %0 = math.exp(%x)
        %1 = math.sin(%0)
        %n = tensor.dimension() {value = 2*N}
        %2 = math.add(%1, %z)
        core.return(%2)
      }
    }""")

    def holds(candidate: Module, inputs: Mapping[str, Array]) -> bool:
        found: list[Array] = []
        interpret(candidate, inputs, observe=lambda op, r: found.extend(r))
        sines = [op for op in candidate.walk() if op.name == "math.sin"]
        return bool(sines) and any((abs(array - np.sin(np.e)) < 1e-6).any() for array in found)

    inputs = {name: np.ones((4, 5), np.float32) for name in ("x", "z")}
    small, given = reduce_with_inputs(module, inputs, holds)
    assert [op.name for op in small.walk()] == ["math.sin", "core.return"]
    (array,) = given.values()
    assert array.shape == ()
    assert array == np.float32(np.exp(np.float32(1)))

"""The rule language: what rules match, what they build, what is refused and why."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from burnish.ir import Module, build_function, interpret, parse, tensor
from burnish.ir.errors import PassError, UsageError
from burnish.passes import PassContext, load_rules, run_pipeline
from burnish.passes.canonicalize import Canonicalize
from burnish.passes.pattern import PatternSet, apply_patterns
from burnish.passes.rules import Rule, RuleError, parse_rules, read_rules, rule_files
from burnish.passes.rules.costs import check_cost
from burnish.passes.rules.load import pattern_set
from burnish.passes.rules.overlap import check_overlaps


def rules(text: str) -> PatternSet:
    return pattern_set(parse_rules(text), "test")


def rule(body: str, head: str = "") -> PatternSet:
    return rules(f'rule test {head} {{ "A test." {body} }}')


def module(body: str, signature: str = "%x: tensor<f32[4]>, %y: tensor<f32[4]>") -> Module:
    return parse(f'module "m" {{ func @main({signature}) -> ("z": tensor<f32[4]>) {{ {body} }} }}')


def applied(patterns: PatternSet, target: Module) -> list[str]:
    """Names of the ops after the rules have been applied, once they compute the same."""
    apply_patterns(target.main, patterns, PassContext())
    return [op.name for op in target.main.body]


def refusals(patterns: PatternSet, target: Module) -> list[str]:
    context = PassContext()
    assert not apply_patterns(target.main, patterns, context)
    return [reason for _, reason in context.refusals]


# Matching --------------------------------------------------------------------------------


def test_a_commutative_op_is_matched_in_both_orders() -> None:
    patterns = rule("match math.add(x, math.neg(y)) rewrite math.sub(x, y)")
    for order in ("%x, %0", "%0, %x"):
        target = module(f"%0 = math.neg(%y) %1 = math.add({order}) core.return(%1)")
        assert applied(patterns, target) == ["math.sub", "core.return"]
        inputs = {"x": np.float32([1, 2, 3, 4]), "y": np.float32([4, 3, 2, 1])}
        np.testing.assert_array_equal(interpret(target, inputs)["z"], inputs["x"] - inputs["y"])


def test_conditions_take_part_in_the_search() -> None:
    patterns = rule("match math.add(x, y) where x.rank < y.rank rewrite math.max(x, y)")
    signature = "%x: tensor<f32[4]>, %s: tensor<f32[]>"
    for order in ("%x, %s", "%s, %x"):
        target = module(f"%0 = math.add({order}) core.return(%0)", signature)
        assert applied(patterns, target) == ["math.max", "core.return"]


def test_ordered_patterns_are_not_swapped() -> None:
    patterns = rule("match ordered math.add(math.neg(y), x) rewrite math.sub(x, y)")
    target = module("%0 = math.neg(%y) %1 = math.add(%x, %0) core.return(%1)")
    assert refusals(patterns, target) == ["an operand is not made by math.neg"]


def test_the_same_name_is_the_same_value() -> None:
    patterns = rule("match math.sub(x, x) rewrite math.mul(x, 0)")
    assert applied(patterns, module("%0 = math.sub(%x, %x) core.return(%0)"))[1] == "math.mul"
    target = module("%0 = math.sub(%x, %y) core.return(%0)")
    assert refusals(patterns, target) == ["operands differ: x"]


def test_once_means_nowhere_else() -> None:
    patterns = rule("match math.mul(e: once math.exp(x), math.neg(e)) rewrite math.sin(x)")
    body = "%0 = math.exp(%x) %1 = math.neg(%0) %2 = math.mul(%0, %1)"
    assert applied(patterns, module(f"{body} core.return(%2)")) == ["math.sin", "core.return"]
    target = module(f"{body} %3 = math.add(%2, %0) core.return(%3)")
    assert "the result of math.exp has other users" in refusals(patterns, target)


def test_numbers_match_constants_filled_with_them() -> None:
    patterns = rule("match math.mul(x, 2) rewrite math.add(x, x)")
    for data in ("dense<f32[], [2.0]>", "splat<f32[4], 2.0>", "dense<f32[2], [2.0, 2.0]>"):
        body = f"%c = core.constant() {{value = {data}}}"
        signature = "%x: tensor<f32[2]>" if "[2]" in data else "%x: tensor<f32[4]>"
        target = parse(
            f'module "m" {{ func @main({signature}) -> ("z": {signature[4:]}) '
            f"{{ {body} %0 = math.mul(%c, %x) core.return(%0) }} }}"
        )
        assert applied(patterns, target) == ["math.add", "core.return"]
    other = module("%c = core.constant() {value = dense<f32[], [2.5]>} "
                   "%0 = math.mul(%x, %c) core.return(%0)")  # fmt: skip
    assert refusals(patterns, other) == ["an operand is not 2"]


@pytest.mark.parametrize(
    ("number", "data", "matches"),
    [
        ("0", "dense<f32[], [0.0]>", True),
        ("0", "dense<f32[], [-0.0]>", False),
        ("-0.0", "dense<f32[], [-0.0]>", True),
        ("0.1", "dense<f32[], [0.1]>", True),
        ("inf", "dense<f32[], [inf]>", True),
        ("1e300", "dense<f32[], [inf]>", False),
        ("nan", "dense<f32[], [nan]>", False),
        ("true", "dense<f32[], [1.0]>", False),
    ],
)
def test_what_a_number_matches(number: str, data: str, matches: bool) -> None:
    patterns = rule(f"match math.pow(x, {number}) rewrite x")
    body = f"%c = core.constant() {{value = {data}}} %0 = math.pow(%x, %c) core.return(%0)"
    assert (applied(patterns, module(body)) == ["core.return"]) is matches


def test_a_whole_number_is_not_rounded() -> None:
    """What the attack found: x ** 3 was taken for what f8e8m0 rounds 3 to, x ** 4."""
    cubed = parse(
        """
module "m" {
  func @main(%x: tensor<f8e8m0[2]>) -> ("y": tensor<f8e8m0[2]>) {
    %c = core.constant() {value = splat<f8e8m0[2], 4.0>}
    %y = math.pow(%x, %c)
    core.return(%y)
  }
}
"""
    )
    patterns = rule("match math.pow(x, 3) rewrite math.mul(math.mul(x, x), x)")
    assert refusals(patterns, cubed) == ["an operand is not 3"]


def test_attributes_bind_and_compare() -> None:
    patterns = rule(
        """match math.clamp(math.clamp(x){low = a, high = 2}){low = a, high = 2.0}
           rewrite math.neg(x)"""
    )
    body = (
        "%0 = math.clamp(%x) {{low = {}, high = 2.0}} %1 = math.clamp(%0) {{low = 0.0, high = 2.0}}"
    )
    assert applied(patterns, module(body.format("0.0") + " core.return(%1)"))[0] == "math.neg"
    target = module(body.format("-0.0") + " core.return(%1)")
    assert "the attribute low is different" in refusals(patterns, target)


def test_nan_compares_false() -> None:
    patterns = rule("match math.pow(x, scalar c) where c.value <= 1 rewrite x")
    body = "%c = core.constant() {value = dense<f32[], [nan]>} %0 = math.pow(%x, %c)"
    assert refusals(patterns, module(f"{body} core.return(%0)")) == ["c.value <= 1"]


def test_lists_of_operands() -> None:
    concat = "%{} = tensor.concat({}) {{axis = 0}}"
    patterns = rule(
        """match outer: tensor.concat(xs..., once tensor.concat(ys...){axis = a}, zs...)
           where outer.axis == a
           rewrite outer(xs..., ys..., zs...)"""
    )
    signature = "%x: tensor<f32[1]>, %y: tensor<f32[1]>"
    body = f"{concat.format(0, '%x, %y')} {concat.format(1, '%x, %0, %y')} core.return(%1)"
    target = module(body, signature)
    assert applied(patterns, target) == ["tensor.concat", "core.return"]
    assert target.main.body.first is not None
    assert len(target.main.body.first.operands) == 4


def test_a_pattern_for_each_operand() -> None:
    patterns = rule(
        """match  c: tensor.concat(once math.clamp(xs){low = a, high = b}...)
           rewrite math.clamp(c(xs...)){low = a, high = b}"""
    )
    clamp = "%{} = math.clamp(%{}) {{low = 0.0, high = {}}}"
    signature = "%x: tensor<f32[2]>, %y: tensor<f32[2]>"
    end = "%2 = tensor.concat(%0, %1) {axis = 0} core.return(%2)"
    same = f"{clamp.format(0, 'x', '1.0')} {clamp.format(1, 'y', '1.0')} {end}"
    assert applied(patterns, module(same, signature)) == [
        "tensor.concat", "math.clamp", "core.return",
    ]  # fmt: skip
    other = f"{clamp.format(0, 'x', '1.0')} {clamp.format(1, 'y', '2.0')} {end}"
    assert refusals(patterns, module(other, signature)) == ["attributes differ: high"]


def test_new_ops_for_each_operand() -> None:
    patterns = rule("match math.exp(c: once tensor.concat(xs...)) rewrite c(math.exp(xs)...)")
    signature = "%x: tensor<f32[2]>, %y: tensor<f32[2]>"
    target = module(
        "%0 = tensor.concat(%x, %y) {axis = 0} %1 = math.exp(%0) core.return(%1)", signature
    )
    assert applied(patterns, target) == ["math.exp", "math.exp", "tensor.concat", "core.return"]


def test_optional_operands() -> None:
    patterns = rule("match m: nn.matmul(a, b, c?) where absent(c) rewrite math.neg(m(a, b, c))")
    with_c = rule("match nn.matmul(a, b, _) rewrite math.neg(nn.matmul(a, b))")
    text = """module "m" {{ func @main(%a: tensor<f32[2, 2]>, %c: tensor<f32[2]>)
        -> ("z": tensor<f32[2, 2]>) {{ %0 = nn.matmul({}) core.return(%0) }} }}"""
    assert refusals(patterns, parse(text.format("%a, %a, %c"))) == ["absent(c)"]
    assert refusals(with_c, parse(text.format("%a, %a, %c")))
    with pytest.raises(PassError, match="applies to its own result"):
        applied(patterns, parse(text.format("%a, %a")))


# Replacements ----------------------------------------------------------------------------


def test_constants_are_computed_now() -> None:
    patterns = rule(
        """match   math.mul(math.mul(x, const c), const d)
           rewrite math.mul(x, fold math.mul(c, d))"""
    )
    target = module(
        """%c = core.constant() {value = dense<f32[], [2.0]>}
           %d = core.constant() {value = dense<f32[4], [1.0, 2.0, 3.0, 4.0]>}
           %0 = math.mul(%x, %c) %1 = math.mul(%d, %0) core.return(%1)"""
    )
    assert applied(patterns, target) == ["core.constant", "math.mul", "core.return"]
    x = np.float32([1, 1, 1, 1])
    np.testing.assert_array_equal(interpret(target, {"x": x, "y": x})["z"], [2, 4, 6, 8])


def test_a_smaller_replacement_is_broadcast() -> None:
    patterns = rule("match math.sub(x, 0) rewrite x")
    target = module(
        "%c = core.constant() {value = splat<f32[4], 0.0>} %0 = math.sub(%s, %c) core.return(%0)",
        "%s: tensor<f32[]>",
    )
    assert applied(patterns, target) == ["tensor.broadcast", "core.return"]


def test_a_replacement_of_another_type_refuses_and_leaves_nothing() -> None:
    patterns = rule("match math.cast(x) rewrite math.neg(x)")
    target = module("%0 = math.cast(%i) {to = f32} core.return(%0)", "%i: tensor<i32[4]>")
    assert refusals(patterns, target) == ["the replacement has another type"]
    assert len(target.main.body) == 2


def test_equal_templates_are_one_op() -> None:
    patterns = rule("match math.pow(x, 4) rewrite math.mul(math.mul(x, x), math.mul(x, x))")
    target = module(
        "%c = core.constant() {value = dense<f32[], [4.0]>} %0 = math.pow(%x, %c) core.return(%0)"
    )
    assert applied(patterns, target) == ["math.mul", "math.mul", "core.return"]


def test_numbers_have_the_element_type_of_their_neighbours() -> None:
    patterns = rule("let k = 3 rewrite math.select(math.less(x, (k - 1)), 0, x)".join(
        ("match math.neg(x) ", "")))  # fmt: skip
    target = module("%0 = math.neg(%x) core.return(%0)")
    assert applied(patterns, target)[-3:] == ["core.constant", "math.select", "core.return"]
    x = np.float32([1, 2, 3, 4])
    np.testing.assert_array_equal(interpret(target, {"x": x, "y": x})["z"], [0, 2, 3, 4])


def test_locations_are_joined() -> None:
    patterns = rule("match math.cos(math.sin(x)) rewrite math.tan(x)")
    target = module(
        '%0 = math.sin(%x) loc("a": "S") %1 = math.cos(%0) loc("b": "C") core.return(%1)'
    )
    applied(patterns, target)
    assert target.main.body.first is not None
    assert [source.name for source in target.main.body.first.location.sources] == ["a", "b"]


def test_tables_are_rows_of_one_rule() -> None:
    patterns = rule(
        "match op(x, x) rewrite math.mul(x, number)",
        "for (op, number) in [(math.add, 2), (math.sub, 0)]",
    )
    target = module("%0 = math.add(%x, %x) %1 = math.sub(%0, %0) core.return(%1)")
    assert applied(patterns, target).count("math.mul") == 2
    assert [p.row for p in patterns] == ["math.add, 2", "math.sub, 0"]
    assert {p.where for p in patterns} == {"<rules>:1"}


def test_a_change_deep_below_the_root_is_seen() -> None:
    """The middle of the tree is made only after its root has been looked at."""
    patterns = rules(
        """rule late { "Late." match math.cos(once math.tan(x)) rewrite math.sin(x) }
           rule deep { "Deep." match math.exp(math.abs(math.neg(math.sin(x)))) rewrite x }"""
    )
    target = module(
        """%0 = math.tan(%x) %1 = math.cos(%0) %2 = math.neg(%1) %3 = math.abs(%2)
           %4 = math.exp(%3) %dead = math.log(%0) core.return(%4)"""
    )
    context = PassContext()
    apply_patterns(target.main, patterns, context)
    assert context.rewrites == {"late": 1, "deep": 1}


def test_rules_that_undo_each_other_are_named_with_their_lines() -> None:
    patterns = rules(
        """rule one { "One." match math.sin(x) rewrite math.cos(x) }
           rule two { "Two." match math.cos(x) rewrite math.tan(x) }
           rule three { "Three." match math.tan(x) rewrite math.sin(x) }
           rule no { "No." match math.exp(x) rewrite math.sin(x) }"""
    )
    with pytest.raises(PassError, match="do not terminate") as caught:
        applied(patterns, module("%0 = math.exp(%x) %1 = math.sin(%0) core.return(%1)"))
    places = caught.value.at[:3]
    assert sorted(places) == ["one (<rules>:1)", "three (<rules>:3)", "two (<rules>:2)"]
    assert "no" not in caught.value.message.split()


# Symbolic dimensions ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("x.shape[0] == 3", "undecided"),
        ("x.shape[0] != 3", "undecided"),
        ("x.shape[0] < 3", "undecided"),
        ("x.shape[1] == 3", "x.shape[1] == 3"),
        ("x.shape == [4, 4]", "x.shape == [4, 4]"),
        ("x.shape[0] < 0", "x.shape[0] < 0"),
        ("x.shape[2] == 1", "x.shape[2] == 1"),
        ("not x.shape == [3, 4]", "undecided"),
        ("x.rank == 3 or x.shape[0] == 1", "undecided"),
        ("x.rank == 3 and x.shape[0] == 1", "x.rank == 3 and x.shape[0] == 1"),
    ],
)
def test_undecided_conditions_refuse(condition: str, reason: str) -> None:
    patterns = rule(f"match math.neg(x) where {condition} rewrite math.abs(x)")
    target = parse(
        """module "m" { func @main(%x: tensor<f32[N, 4]>) -> ("z": tensor<f32[N, 4]>) {
           %0 = math.neg(%x) core.return(%0) } }"""
    )
    (found,) = refusals(patterns, target)
    assert reason in found


@pytest.mark.parametrize(
    "condition",
    [
        "x.shape[0] == x.shape[0]",
        "x.shape[0] >= 0",
        "x.shape[0] + 1 > x.shape[0]",
        "x.rank == 2 or x.shape[0] == 1",
        "not (x.rank == 3 and x.shape[0] == 1)",
        "4 in x.shape",
        "x.elements == 4 * x.shape[0]",
        "x.dtype in [f32, f64] and x.dtype.is_float and x.dtype.bits // 8 == 4",
    ],
)
def test_decided_conditions_hold(condition: str) -> None:
    patterns = rule(f"match math.neg(x) where {condition} rewrite math.abs(x)")
    target = parse(
        """module "m" { func @main(%x: tensor<f32[N, 4]>) -> ("z": tensor<f32[N, 4]>) {
           %0 = math.neg(%x) core.return(%0) } }"""
    )
    assert applied(patterns, target) == ["math.abs", "core.return"]


# Files -----------------------------------------------------------------------------------


def test_a_file_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "my.rules"
    path.write_text('rule mine { "Mine." match math.exp(math.log(x)) rewrite x }')
    target = module("%0 = math.log(%x) %1 = math.exp(%0) core.return(%1)")
    report = run_pipeline(target, f'rules{{file="{path}"}}', verify="each")
    assert report.rewrites == {"mine": 1}
    assert [p.where for p in load_rules(path)] == ["my.rules:1"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    target = module("core.return(%x)")
    with pytest.raises(PassError, match="needs the option file"):
        run_pipeline(target, "rules")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        run_pipeline(target, f'rules{{file="{tmp_path / "none"}"}}')


def test_fast_math_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "fast.rules"
    path.write_text('rule fast promise fast-math { "Fast." match math.exp(math.log(x)) rewrite x }')
    target = module("%0 = math.log(%x) %1 = math.exp(%0) core.return(%1)")
    assert not run_pipeline(target, f'rules{{file="{path}"}}').changed
    assert run_pipeline(target, f'rules{{file="{path}",fast-math=true}}').changed


# Errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "message", "help"),
    [
        ("match math.ad(x) rewrite x", "1:30", "there is no op math.ad", "did you mean math.add?"),
        ("match math.neg(x) rewrite y", "1:50", "y is not bound", "there is x"),
        ("match math.add(x, y) rewrite x", "1:42", "y is never used", "write _y"),
        ("match math.neg(x, x) rewrite x", "1:30", "math.neg takes 1 operands, not 2", ""),
        ("match math.neg(x) rewrite math.add(x)", "1:50", "takes 2 operands, not 1", ""),
        ("match math.relu(x){low = 0} rewrite x", "1:43", "math.relu has no attribute low", ""),
        ("match math.clamp(x){lo = 0} rewrite x", "1:44", "no attribute lo", "did you mean low?"),
        (
            "match math.neg(x) rewrite math.clamp(x){low = 0}",
            "1:50",
            "needs the attribute high",
            "",
        ),
        ('match math.clamp(x){low = "a"} rewrite x', "1:50", "expected a number|is a string", ""),
        ("match math.neg(x) where x.shap == x.shape rewrite x", "1:48", "has no shap", "shape?"),
        ("match math.neg(x) where rnk(x) rewrite x", "1:48", "there is no function rnk", ""),
        ("match math.neg(x) where inverse(x) rewrite x", "1:56", "is a value, but must be a", ""),
        ("match math.neg(x) where x.rank rewrite x", "1:48", "is a number, but must be true", ""),
        ("match math.neg(x) where x.rank == f32 rewrite x", "1:48", "never equal", ""),
        ("match math.neg(x) where x.value == 1 rewrite x", "1:48", "only a scalar", "scalar"),
        ("match math.neg(x) let x = 1 rewrite x", "1:42", "x is bound twice", ""),
        ("match math.neg(x) let k = 1 rewrite math.add(x, k)", "1:72", "k is a number", "(k)"),
        ("match math.neg(f32) rewrite f32", "1:39", "f32 is an element type", "another name"),
        ("match math.neg(x) rewrite x, x", "1:50", "has 1 results, but is replaced by 2", ""),
        ("match math.neg(x) rewrite fold math.exp(x)", "1:64", "need not be", "const x"),
        ("match any elementwis(x) rewrite x", "1:30", "no trait elementwis", "elementwise?"),
        ("match math.neg(x) rewrite 1 +", "1:52", "unexpected", "expected"),
        ("match math.neg(x)", "1:42", 'unexpected "}"', "rewrite"),
        ("match tensor.concat(xs..., ys...) rewrite x", "1:30", "at most two lists", ""),
        ("match tensor.concat(xs...) rewrite xs", "1:59", "a list of values replaces one", ""),
        ("match math.neg(x) rewrite control.if(x)", "1:50", "control.if has regions", ""),
        ("match nn.matmul(a, b, c?) where a.rank == b.rank rewrite c", "1:81", "may be absent", ""),
    ],
)
def test_errors(text: str, place: str, message: str, help: str) -> None:
    with pytest.raises(RuleError, match=message) as caught:
        rule(text)
    error = caught.value
    assert error.at[0].splitlines()[0] == f"<rules>:{place}"
    assert help in error.help


def test_an_error_shows_the_line() -> None:
    with pytest.raises(RuleError) as caught:
        rules('rule a {\n  "A."\n  match   math.exp(x)\n  rewrite math.add(x, y)\n}\n')
    assert str(caught.value) == (
        "error[E-RULE]: y is not bound\n"
        "  at  <rules>:4:23\n"
        "        rewrite math.add(x, y)\n"
        "                            ^\n"
        "  help: there is x"
    )


def test_names_are_given_once() -> None:
    one = 'rule twin { "One." match math.neg(x) rewrite x }'
    with pytest.raises(RuleError, match="twin is defined twice, first in line 1"):
        rules(f"{one}\n{one}")


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("math.add(x, math.neg(y))", "math.add(math.neg(a), b)", True),
        ("math.add(x, math.neg(y))", "math.add(a, b)", True),
        ("math.sub(x, math.neg(y))", "math.sub(math.neg(a), b)", False),
        ("math.mul(x, 0) where x.rank == 1", "math.mul(a, 0) where a.rank == 1", True),
        ("math.sub(x, y) where y.rank == 1", "math.sub(a, b) where a.rank == 1", False),
        ("math.sub(x, 0) where x.rank == 1", "math.sub(a, const b)", True),
        ("math.sub(x, x)", "math.sub(a, b)", True),
        ("math.sub(x, y) where x.rank == 1", "math.sub(a, a)", False),
        ("math.clamp(x){low = 0}", "math.clamp(a){low = 1}", False),
        ("math.clamp(x){low = 0}", "math.clamp(a){low = c}", True),
        ("math.exp(once math.log(x))", "math.exp(math.log(a))", True),
    ],
)
def test_rules_that_overlap_are_told_apart(one: str, other: str, overlap: bool) -> None:
    def text(benefit: int) -> str:
        return (
            f'rule one benefit {benefit} {{ "One." match {unused(one)} rewrite x }}\n'
            f'rule other {{ "Other." match {unused(other)} rewrite a }}'
        )

    rules(text(2))
    if overlap:
        with pytest.raises(RuleError, match="matches too, and both have benefit 1"):
            rules(text(1))
    else:
        rules(text(1))


def unused(pattern: str) -> str:
    """``pattern`` with names that are used nowhere marked as such."""
    for name in ("y", "b", "c"):
        if f"{name}.rank" not in pattern:
            pattern = re.sub(rf"\b{name}\b(?=[)}}])", f"_{name}", pattern)
    return pattern


def test_rules_of_burnish_do_not_overlap() -> None:
    sets: dict[str, list[tuple[Rule, str]]] = {}
    for path, name in rule_files().items():
        file = read_rules(path)
        sets.setdefault(name, []).extend((rule, file.text) for rule in file.rules)
    assert "canonicalize" in sets
    for found in sets.values():
        check_overlaps(found)


# Cost ------------------------------------------------------------------------------------


def test_rules_of_burnish_replace_nothing_by_something_dearer() -> None:
    for path in rule_files():
        file = read_rules(path)
        for one in file.rules:
            check_cost(one, file.text)


@pytest.mark.parametrize(
    ("body", "dearer"),
    [
        ("match math.cos(x) rewrite math.tan(x)", True),
        ("match math.tan(x) rewrite math.cos(x)", False),
        ("match math.neg(math.exp(x)) rewrite math.neg(math.exp(x))", True),
        ("match math.neg(once math.exp(x)) rewrite math.neg(math.exp(x))", False),
        ("match math.max(x, scalar c) rewrite math.clamp(x){low = c.value, high = inf}", False),
        ("match math.max(x, scalar c) rewrite math.clamp(x){low = c.value, high = 6}", True),
        ("match tensor.reshape(x) rewrite math.exp(x)", False),
    ],
)
def test_dearer_replacements_are_found(body: str, dearer: bool) -> None:
    text = f'rule test {{ "A test." {body} }}'
    (one,) = parse_rules(text).rules
    if not dearer:
        check_cost(one, text)
        return
    with pytest.raises(RuleError, match="operations per element, what goes away took"):
        check_cost(one, text)


# Work ------------------------------------------------------------------------------------


def chain(length: int) -> Module:
    """Sums of products of exponentials, one after another."""
    target = Module()
    function, b = build_function(target, "main", {"x": tensor("f32", 4)}, ["y"])
    x = function.args[0]
    for _ in range(length):
        x = b("math.add", b("math.mul", x, b("math.exp", x)), x)
    b.ret(x)
    return target


def attempts(patterns: PatternSet, length: int) -> int:
    context = PassContext()
    apply_patterns(chain(length).main, patterns, context)
    return context.attempts


def test_rules_that_cannot_start_at_an_op_cost_nothing() -> None:
    """Five hundred rules for the same roots, which differ in what makes the operands."""
    own = 'rule own { "Own." match math.mul(x, math.exp(y)) where x.rank == y.rank + 1 rewrite x }'
    others = "".join(
        f'rule dummy-{i} {{ "Dummy." match math.{root}(x, math.{op}(math.{op}(x))) '
        f"where x.rank == {i} rewrite x }}\n"
        for i, (root, op) in enumerate(
            [(root, op) for root in ("add", "mul") for op in ("sin", "cos", "tan", "log", "erf")]
            * 50
        )
    )
    few, many = rules(own), rules(own + others)
    assert len(list(many)) == 501
    assert attempts(few, 100) == attempts(many, 100) == 100


def test_work_grows_linearly() -> None:
    patterns = PatternSet("all", includes=[Canonicalize.patterns])
    assert attempts(patterns, 800) <= 4 * attempts(patterns, 200) + 10

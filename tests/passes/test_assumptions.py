"""Rules that assume something: two rules, one of which asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.ir import parse
from burnish.passes import PassContext
from burnish.passes.attack import attack_file
from burnish.passes.pattern import PatternSet, apply_patterns
from burnish.passes.promises import EXACT
from burnish.passes.promises import FAST_MATH as FAST
from burnish.passes.rules import RuleError, parse_rules
from burnish.passes.rules.load import pattern_set

DIFFERENCE = """rule difference promise exact {
  "x - x is 0."
  match   math.sub(x, x)
  assume  always_finite(x)
  rewrite 0
}
"""


def rules(text: str) -> PatternSet:
    return pattern_set(parse_rules(text), "test")


def test_an_assumption_makes_two_rules() -> None:
    patterns = list(rules(DIFFERENCE))
    assert [(p.name, p.row, p.promise) for p in patterns] == [
        ("difference", "", "exact"),
        ("difference", "fast-math", "fast-math"),
    ]
    assert len({p.where for p in patterns}) == 1


def test_rows_of_a_table_are_two_rules_each() -> None:
    head = "rule both for (op) in [math.min, math.max]"
    text = f'{head} {{ "Both." match op(x, x) assume x.rank == 1 rewrite x }}'
    rows = [p.row for p in rules(text)]
    assert rows == ["math.min", "math.min, fast-math", "math.max", "math.max, fast-math"]


@pytest.mark.parametrize(
    ("dtype", "fast_math", "promises"),
    [("i32", False, {EXACT}), ("i32", True, {EXACT}), ("f32", False, set()), ("f32", True, {FAST})],
)
def test_what_is_known_is_asked_first(dtype: str, fast_math: bool, promises: set[str]) -> None:
    """Where the assumption holds the rule's own promise is kept, with fast math too."""
    patterns = rules(DIFFERENCE)
    type_ = f"tensor<{dtype}[4]>"
    module = parse(
        f'module "m" {{ func @main(%x: {type_}) -> ("y": {type_}) {{\n'
        "%0 = math.sub(%x, %x)\n core.return(%0) } }"
    )
    context = PassContext()
    apply_patterns(module.main, patterns if fast_math else patterns.careful, context)
    assert context.promises == promises


def test_names_may_serve_the_assumption_alone() -> None:
    text = 'rule r { "R." match math.neg(x) let k = x.rank assume k == 1, k < 2 rewrite x }'
    assert len(list(rules(text))) == 2


@pytest.mark.parametrize(
    ("head", "assumption", "place", "message"),
    [
        ("", "always_finite(y)", "1:55", "y is not bound"),
        ("", "x.rank", "1:41", "must be true"),
        ("promise fast-math", "always_finite(x)", "1:51", "assumes that all is finite anyway"),
    ],
)
def test_errors(head: str, assumption: str, place: str, message: str) -> None:
    text = f'rule a {head} {{ "A." match math.neg(x) assume {assumption} rewrite x }}'
    with pytest.raises(RuleError, match=message) as caught:
        rules(text)
    assert caught.value.at[0].splitlines()[0] == f"<rules>:{place}"


def test_both_rules_are_attacked(tmp_path: Path) -> None:
    """x - c is x where c is 0, and not at all where that is taken for granted."""
    text = 'rule wrong { "W." match math.sub(x, const c) assume filled(c, 0) rewrite x }'
    path = tmp_path / "my.rules"
    path.write_text(text)
    words = {verdict.name: verdict.word for verdict in attack_file(path)}
    assert words == {"wrong": "holds", "wrong[fast-math]": "wrong"}

"""``burnish opt`` for those who look for a wrong pass: load, verify, replay, reduce, print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from burnish import debugging, plugins
from burnish.debugging import TargetFailure, find, reduced, write_reproducer
from burnish.ir import Module, parse
from burnish.passes import base, count_ops
from burnish.passes.trust import CRASH, Failure, Reproducer, parse_reproducer

PLUGIN = '''
"""A pass that is wrong where x is infinite."""

from dataclasses import dataclass

import numpy as np

from burnish.passes import Match, Outcome, PatternPass, PatternSet, register_pass

PATTERNS = PatternSet("subtract-self")


@PATTERNS.pattern("subtract-self", "math.sub")
def subtract_self(m: Match) -> Outcome:
    """x - x is 0."""
    m.require(m.operand(0) is m.operand(1), "two values")
    zero = m.build_constant(np.zeros((), np.float32))
    return m.build("tensor.broadcast", zero, shape=m.op.result.type.shape)


@register_pass
@dataclass(frozen=True)
class SubtractSelf(PatternPass):
    """x - x is 0."""

    name = "subtract-self"
    patterns = PATTERNS
'''

MODEL = """module "m" {
  func @main(%x: tensor<f32[8, 4]>, %y: tensor<f32[4]>) -> ("z": tensor<f32[8, 4]>) {
    %a = math.add(%x, %y)
    %b = math.tanh(%a)
    %c = math.add(%x, %b)
    %d = math.sub(%c, %c)
    %e = math.add(%d, %b)
    core.return(%e)
  }
}
"""


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Passes and files that a test loads are forgotten after it; reproducers stay in its folder."""
    monkeypatch.setattr(base, "_PASSES", dict(base._PASSES))
    monkeypatch.setattr(plugins, "_LOADED", {})
    monkeypatch.setenv("BURNISH_REPRODUCERS", str(tmp_path / "reproducers"))
    return iter(())


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    file = tmp_path / "my_pass.py"
    file.write_text(PLUGIN)
    return file


@pytest.fixture
def model_text(tmp_path: Path) -> Path:
    file = tmp_path / "m.burnish"
    file.write_text(MODEL)
    return file


def test_a_wrong_pass_is_found_kept_replayed_and_reduced(
    burnish: Any, plugin: Path, model_text: Path, tmp_path: Path
) -> None:
    load = ("--load", plugin)
    pipeline = ("-p", "canonicalize,subtract-self,fold")
    burnish("opt", model_text, *load, *pipeline)
    burnish("opt", model_text, *load, *pipeline, "--verify", "semantic", status=1)
    assert "rewrite 1, subtract-self at math.sub" in burnish.err
    assert "-    %d = math.sub(%c, %c)" in burnish.err
    [kept] = (tmp_path / "reproducers").iterdir()
    assert str(kept) in burnish.err
    assert parse_reproducer(kept.read_text()).passes == "subtract-self"

    said = burnish("opt", kept, *load, "--replay", status=1)
    assert said.startswith("it still fails: mismatch of subtract-self")
    small = tmp_path / "small.burnish"
    said = burnish("opt", kept, *load, "--reduce", "-o", small)
    assert said.startswith("mismatch of subtract-self: 5 ops became 1\n")
    assert count_ops(parse(small.read_text())) == 1
    burnish("opt", small, *load, "--replay", status=1)
    again = tmp_path / "again.burnish"
    burnish("opt", kept, *load, "--reduce", "-o", again)
    assert again.read_bytes() == small.read_bytes()

    mended = PLUGIN.replace("m.require(", 'm.refuse("never")\n    m.require(')
    plugin.write_text(mended)
    base._PASSES.pop("subtract-self")
    plugins._LOADED.clear()
    assert "does not fail any more" in burnish("opt", small, *load, "--replay")
    burnish("opt", small, *load, "--reduce", "-o", again, status=2)
    assert "the failure does not show" in burnish.err


def test_a_model_that_fails_is_reduced_at_once(
    burnish: Any, plugin: Path, model_text: Path, tmp_path: Path
) -> None:
    small = tmp_path / "small.burnish"
    reduce = ("opt", model_text, "--load", plugin, "--reduce", "-o", small)
    assert "became 1" in burnish(*reduce, "-p", "cse,subtract-self")
    burnish(*reduce, "-p", "cse,dce", status=2)
    assert "every pass does well" in burnish.err
    burnish(*reduce[:-2], status=2)


def test_a_reproducer_is_written_somewhere_in_any_case(tmp_path: Path) -> None:
    reproducer = Reproducer(parse(MODEL), "dce", Failure(CRASH, "dce", "said"))
    file = tmp_path / "file"
    file.write_text("")
    path = write_reproducer(reproducer, str(file / "below"))
    try:
        assert path.read_text() == str(reproducer)
        assert path.name.startswith("m-crash-")
    finally:
        path.unlink()
    assert write_reproducer(reproducer, str(tmp_path / "new")).parent == tmp_path / "new"


def test_what_is_no_plugin_is_refused(burnish: Any, model_text: Path, tmp_path: Path) -> None:
    burnish("opt", model_text, "--load", tmp_path / "absent.py", status=2)
    broken = tmp_path / "broken.py"
    broken.write_text("import nowhere_at_all\n")
    burnish("opt", model_text, "--load", broken, status=2)
    assert "nowhere_at_all" in burnish.err
    burnish("opt", model_text, "--replay", status=1)
    assert "no header" in burnish.err


def test_limits_statistics_and_printing(burnish: Any, model_text: Path, tmp_path: Path) -> None:
    burnish("opt", model_text, "-p", "canonicalize,fuse", "--stats", "--rewrite-limit", "0")
    assert "applied" in burnish.err
    assert "fuse elementwise" not in burnish.err
    burnish("opt", model_text, "-p", "fuse", "--stats")
    assert "fuse elementwise " in burnish.err
    folder = tmp_path / "printed"
    pipeline = ("opt", model_text, "-p", "dce,fuse,dce", "--print-ir-dir", folder)
    burnish(*pipeline, "--print-ir-after-change")
    assert [path.name for path in folder.iterdir()] == ["02-fuse.ir"]
    burnish(*pipeline, "--print-ir-after", "dce")
    assert sorted(path.name for path in folder.iterdir()) == [
        "01-dce.ir",
        "02-fuse.ir",
        "03-dce.ir",
    ]
    assert count_ops(parse((folder / "02-fuse.ir").read_text())) == 1
    burnish(*pipeline, status=2)


def test_compile_verifies_meaning(plugin: Path) -> None:
    import burnish

    plugins.load_file(plugin)
    module = parse(MODEL)
    with pytest.raises(burnish.Error, match="subtract-self"):
        burnish.compile(module, passes="cse,subtract-self", verify="semantic")
    burnish.compile(module, passes="cse,fuse", verify="semantic")
    with pytest.raises(burnish.Error, match="semantic"):
        burnish.compile(module, verify="twice")


def test_wrong_code_is_found_and_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that adds 1 after every tanh."""

    class Compiled:
        def __init__(self, module: Module) -> None:
            self.module = module

        def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
            from burnish.ir import interpret

            wrong = any(op.name == "math.tanh" for op in self.module.walk())
            outputs = interpret(self.module, inputs)
            return {name: array + np.float32(wrong) for name, array in outputs.items()}

    def compile(module: Module, target: str, passes: object) -> Compiled:
        assert (target, passes) == ("c", [])
        return Compiled(module)

    monkeypatch.setattr(debugging, "compile", compile)
    passes = [base.make_pass("cse"), base.make_pass("dce")]
    found = find(parse(MODEL), passes, target="c")
    assert found is not None
    assert found.failure.kind == "target"
    small = reduced(parse_reproducer(str(found)))
    assert [op.name for op in small.module.walk()] == ["math.tanh", "core.return"]
    assert small.passes == ""
    monkeypatch.undo()
    assert TargetFailure("c:generic")(small.module, []) is None

"""Running pipelines: reports, instruments, checks, and passes of one's own."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from burnish.ir import Module, Op, parse
from burnish.ir.errors import Error, PassError, UsageError, VerifyError
from burnish.passes import (
    Instrument,
    Pass,
    PassContext,
    PassManager,
    PrintAfter,
    count_ops,
    make_pass,
    passes,
    register_pass,
    run_pipeline,
)

TEXT = """
module "m" {
  func @main(%x: tensor<f32[4]>) -> ("y": tensor<f32[4]>) {
    %0 = math.neg(%x)
    %1 = math.neg(%0)
    %2 = math.sin(%1)
    %3 = math.relu(%2)
    core.return(%3)
  }
}
"""


@pytest.fixture
def module() -> Module:
    return parse(TEXT)


def test_the_report_counts(module: Module) -> None:
    report = run_pipeline(module, "canonicalize,fuse,dce")
    first, second, third = report.records
    assert (first.ops_before, first.ops_after) == (4, 2)
    assert first.rewrites == {"involution": 1}
    assert (second.ops_after, second.rewrites) == (1, {"fuse elementwise": 1})
    assert not third.changed
    assert report.changed
    assert report.rewrites == {"fuse elementwise": 1, "involution": 1}
    assert report.seconds > 0
    assert "canonicalize" in str(report)


def test_refusals_are_recorded_with_reasons() -> None:
    module = parse(
        """module "m" { func @main(%x: tensor<f32[4]>) -> ("y": tensor<f32[4]>) {
          %c = core.constant() {value = dense<f32[], [3.0]>}
          %0 = math.div(%x, %c)
          core.return(%0)
        } }"""
    )
    refusals = run_pipeline(module, "canonicalize").records[0].refusals
    assert refusals["divide-by-power-of-two", "invertible_exactly(c)"] == 1
    assert refusals["neutral-operand", "an operand is not 1"] == 1


def test_a_group_counts_as_one_op(module: Module) -> None:
    assert count_ops(module) == 4
    run_pipeline(module, "fuse")
    assert count_ops(module) == 1


class Log(Instrument):
    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.lines = lines

    def before(self, pass_: Pass, module: Module) -> None:
        self.lines.append(f"{self.name} before {pass_}")

    def after(self, pass_: Pass, module: Module, *, changed: bool, context: PassContext) -> None:
        self.lines.append(f"{self.name} after {pass_} {changed}")

    def failed(self, pass_: Pass, module: Module, error: Exception) -> None:
        self.lines.append(f"{self.name} failed {pass_}")


def test_instruments_nest(module: Module) -> None:
    lines: list[str] = []
    run_pipeline(module, "dce", instruments=[Log("outer", lines), Log("inner", lines)])
    assert lines == [
        "outer before dce",
        "inner before dce",
        "inner after dce False",
        "outer after dce False",
    ]


@dataclass(frozen=True)
class Break(Pass):
    """Breaks the order of ops."""

    name = "break"

    def run(self, module: Module, context: PassContext) -> bool:
        block = module.main.body
        first = block.first
        assert isinstance(first, Op)
        block._unlink(first)
        block._insert(first, block.terminator)
        return True


def test_verify_each_blames_the_pass(module: Module) -> None:
    lines: list[str] = []
    with pytest.raises(VerifyError) as caught:
        run_pipeline(
            module, [make_pass("cse"), Break()], verify="each", instruments=[Log("log", lines)]
        )
    assert "after pass break" in caught.value.at
    assert lines[-1] == "log failed break"


def test_verify_each_does_not_blame_a_pass_for_its_input(module: Module) -> None:
    Break().run(module, PassContext())
    with pytest.raises(VerifyError) as caught:
        run_pipeline(module, "dce", verify="each")
    assert "before the first pass" in caught.value.at


def test_verify_must_be_known() -> None:
    with pytest.raises(UsageError, match="sometimes"):
        PassManager("dce", verify="sometimes")


def test_print_after_prints_what_changed(module: Module) -> None:
    before, written = str(module), dict[str, str]()
    watch = PrintAfter(changed_only=True, write=written.__setitem__)
    run_pipeline(module, "dce,canonicalize", instruments=[watch])
    assert written == {"02-canonicalize": f"// IR after canonicalize\n{module}"}
    named = PrintAfter(["canonicalize"], write=written.__setitem__)
    run_pipeline(parse(before), "canonicalize,fuse,canonicalize", instruments=[named])
    assert list(written) == ["02-canonicalize", "01-canonicalize", "03-canonicalize"]


def test_errors_name_the_pass(module: Module) -> None:
    @dataclass(frozen=True)
    class Fails(Pass):
        name = "fails"

        def run(self, module: Module, context: PassContext) -> bool:
            raise Error("cannot")

    with pytest.raises(Error) as caught:
        run_pipeline(module, [Fails()])
    assert caught.value.at == ("pass fails",)


@pytest.mark.usefixtures("scratch")
def test_a_function_can_be_a_pass(module: Module) -> None:
    @register_pass(name="rename")
    def rename(module: Module, context: PassContext, *, new_name: str = "model") -> bool:
        """Give the module another name."""
        module.name = new_name
        return True

    assert passes()["rename"].doc() == "Give the module another name."
    report = run_pipeline(module, "rename{new-name=other}")
    assert module.name == "other"
    assert report.records[0].pass_ == "rename{new-name=other}"
    with pytest.raises(PassError):
        make_pass("rename", {"new-name": 3})


@pytest.mark.usefixtures("scratch")
@pytest.mark.parametrize(("name", "message"), [("Bad_Name", "kebab-case"), ("dce", "twice")])
def test_bad_registrations_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        register_pass(type("P", (Pass,), {"name": name}))

"""What fusion is worth: prologues that save bytes, and those that do not."""

from __future__ import annotations

import pytest

from burnish.ir import Module, Op, parse
from burnish.passes import PassContext, run_pipeline
from burnish.passes.fuse import ANCHORS, Fuse
from burnish.passes.fusion_cost import is_expensive, reads_each, saved_by_prologue


def module(body: str, result: str) -> Module:
    return parse(f"""module "m" {{
        func @main(%x: tensor<f32[1, 2, 8, 8]>, %w: tensor<f32[2, 2, 1, 1]>)
            -> ("y": tensor<f32[{result}]>) {{ {body} core.return(%y) }}
    }}""")


REDUCE = '%y = tensor.reduce(%a) {kind = "sum", axes = [2, 3], keep_dims = false}'
CONV = "nn.conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}"
POOL = """%y = nn.max_pool(%a) {
    kernel = [KERNEL, KERNEL], strides = [2, 2], pads = [0, 0, 0, 0], dilations = [1, 1],
    overhang = [0, 0]
}"""


def ops(target: Module) -> list[Op]:
    return [op for op in target.main.body if op.results and op.name != "core.constant"]


def test_what_is_not_stored_is_neither_written_nor_read() -> None:
    a, y = ops(module(f"%a = math.abs(%x) {REDUCE}", "1, 2"))
    assert saved_by_prologue(y, a.result, [a], ANCHORS) == 2 * 4 * 128


def test_what_an_anchor_could_hand_over_is_lost() -> None:
    target = module(f"%c = {CONV} %a = math.abs(%c) {REDUCE}", "1, 2")
    _, a, y = ops(target)
    assert saved_by_prologue(y, a.result, [a], ANCHORS) == 0
    run_pipeline(target, "fuse,dce", verify="each")
    group, reduce = ops(target)
    assert [op.name for op in group.regions[0]] == ["nn.conv", "math.abs", "core.yield"]
    assert reduce.name == "tensor.reduce"


@pytest.mark.parametrize(("kernel", "reads", "saved"), [(2, 1, 1024), (4, 4, 1024 - 3 * 128)])
def test_what_windows_share_is_computed_again(kernel: int, reads: int, saved: int) -> None:
    pool = POOL.replace("KERNEL", str(kernel))
    a, y = ops(module(f"%a = math.abs(%x) {pool}", f"1, 2, {5 - kernel // 2}, {5 - kernel // 2}"))
    assert reads_each(y) == reads
    assert saved_by_prologue(y, a.result, [a], ANCHORS) == saved


def test_functions_are_not_computed_where_they_are_read() -> None:
    target = module(f"%a = math.tanh(%x) {REDUCE}", "1, 2")
    a, _ = ops(target)
    assert is_expensive(a)
    context = PassContext()
    assert not Fuse().run_function(target.main, context)
    assert dict(context.refusals) == {("fuse", "before tensor.reduce: expensive"): 1}


def test_prologues_are_an_option() -> None:
    target = module(f"%a = math.abs(%x) {REDUCE}", "1, 2")
    run_pipeline(target, "fuse{prologues=false},dce")
    assert [op.name for op in ops(target)] == ["math.abs", "tensor.reduce"]


def test_what_others_read_is_stored_by_its_own_kernel() -> None:
    target = module(f"%a = math.abs(%x) %b = {REDUCE[5:]} %y = math.exp(%a)", "1, 2, 8, 8")
    context = PassContext()
    Fuse().run_function(target.main, context)
    (reason,) = (reason for _, reason in context.refusals if reason.startswith("before"))
    assert reason == "before tensor.reduce: the result is used elsewhere"

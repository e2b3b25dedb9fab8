"""Every op as tensor expressions: TVM computes what the IR means."""

from __future__ import annotations

import pytest
from op_cases import OpCase, assert_close, cases, data
from trials import trial

from burnish import interpret, parse
from burnish.backends import tvm as backend
from burnish.ir import DType, lookup, registry
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.errors import UnsupportedError

pytestmark = pytest.mark.skipif(not backend.has_tvm(), reason="apache-tvm is not installed")

CASES = cases()
EVERY = 60
"""Cases that are built at once."""

UNSUPPORTED = {
    "control.loop": "loops that could not be unrolled",
    "nn.determinant": "elimination exchanges rows",
    "nn.non_max_suppression": "sizes that only the data tells",
    "nn.region_align": "boxes whose sizes only the data tells",
    "nn.region_max_pool": "boxes whose sizes only the data tells",
    "nn.sparse_product": "made by the layouts of C targets only",
    "tensor.non_zero": "sizes that only the data tells",
    "tensor.relayout": "layouts of C targets",
    "tensor.unique": "sizes that only the data tells",
}
"""Ops that have no lowering; on a processor their kernels are C."""

REFUSED = {f"nn.{layer}-no-time" for layer in ("rnn", "gru", "lstm")}
"""Layers without time steps."""

COMPLEX = (DType.C64, DType.C128)


def is_expressible(case: OpCase) -> bool:
    """Whether there is a lowering for the op and its element types."""
    types = [type_ for type_ in (*case.types, *case.result_types()) if type_ is not None]
    is_complex = any(type_.dtype in COMPLEX for type_ in types)
    return case.op not in UNSUPPORTED and case.id not in REFUSED and not is_complex


EXPRESSIBLE = [case for case in CASES if is_expressible(case)]
SAMPLE = list({case.op: case for case in reversed(EXPRESSIBLE)}.values())[::6]
"""The first case of some ops, for every day: TVM takes seconds to build a few."""


def test_every_op_has_a_lowering_or_a_reason() -> None:
    from burnish.backends.tvm import lowerings  # noqa: F401 - registers them
    from burnish.backends.tvm.registry import ELEMENTWISE, LOWERINGS

    structure = {"core.constant", "core.return", "core.yield"}
    named = {op for op in registry() if not isinstance(lookup(op), ElementwiseOp)}
    own = {name for name in LOWERINGS if name not in (ELEMENTWISE, "math.pow")}
    assert named - structure == own | set(UNSUPPORTED)


@pytest.mark.parametrize("case", [c for c in CASES if not is_expressible(c)], ids=str)
def test_what_is_not_expressible_is_refused_by_name(case: OpCase) -> None:
    from burnish.backends.tvm.write import write_module

    if all(0 in type_.shape for type_ in case.result_types()):
        return  # results of nothing are constants, whatever the op
    with pytest.raises(UnsupportedError, match="Relax cannot express"):
        write_module(case.module())


def test_some_ops_compute_the_same() -> None:
    from tvm_batches import tvm_differences

    assert dict(tvm_differences([trial(case) for case in SAMPLE])) == {}


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, len(EXPRESSIBLE), EVERY))
def test_every_case(start: int) -> None:
    from tvm_batches import tvm_differences

    batch = EXPRESSIBLE[start : start + EVERY]
    assert dict(tvm_differences([trial(case) for case in batch])) == {}


DYNAMIC = """
module "dynamic" {
  symbols {N = 0..64, S = 1..64}
  func @main(%x: tensor<f32[N, S, 8]>, %w: tensor<f32[8, 8]>)
      -> ("y": tensor<f32[N, S, 8]>, "m": tensor<f32[N, 8]>, "c": tensor<f32[N, S, 8]>,
          "t": tensor<i64[N, 8]>, "n": tensor<f32[8]>, "s": tensor<i64[]>) {
    %q = nn.matmul(%x, %w)
    %a = nn.attention(%q, %x, %x) {scale = 0.5, heads = 2, kv_heads = 2, causal = true}
    %y = math.add(%x, %a)
    %m = tensor.reduce(%y) {kind = "mean", axes = [1]}
    %c = tensor.cumulative_sum(%x) {axis = 1}
    %t = tensor.arg_reduce(%x) {kind = "max", axis = 1}
    %n = tensor.reduce(%x) {kind = "max", axes = [0, 1]}
    %s = tensor.dimension() {value = N*S + 1}
    core.return(%y, %m, %c, %t, %n, %s)
  }
}
"""


def test_symbols_stay_symbols() -> None:
    """One build for all sizes, none at all among them."""
    from tvm_batches import Lowered

    module = parse(DYNAMIC)
    lowered = Lowered(module)
    for batch, steps in ((1, 1), (2, 5), (3, 64), (0, 4)):
        inputs = {"x": data((batch, steps, 8)), "w": data((8, 8))}
        found = lowered.run(inputs)
        for name, expected in interpret(module, inputs).items():
            assert_close(found[name], expected, f"{name} of {batch}, {steps}")

"""Every op case as Relay: text of our own grammar that type-checks, and what Relay computes."""

from __future__ import annotations

import numpy as np
import pytest
from op_cases import OpCase, cases
from relay_batches import needs_relay, relay_differences
from trials import trial

from burnish.backends.relay import compile_module, runner
from burnish.backends.relay.registry import lowered_ops
from burnish.ir import interpret, lookup, parse, registry
from burnish.ir.elementwise import ElementwiseOp
from burnish.ir.errors import UnsupportedError

CASES = cases()
EVERY = 40
"""Cases that are built at once."""

UNSUPPORTED = {"nn.sparse_product": "made by the layouts of C targets only"}
"""Ops that Relay 0.10 cannot express, or that nobody has asked for."""

REFUSED = {
    *(f"nn.{layer}-no-time" for layer in ("rnn", "gru", "lstm")),
    "tensor.scatter_nd-whole",
    *(f"nn.region_align-{mode}-0{half}" for mode in ("mean", "max") for half in ("", "-half")),
    *(f"nn.region_align-{kind}" for kind in ("from-end", "f16", "bf16", "f64")),
}
"""Layers without time steps, index tuples without indices, and as many samples of a box as it has
elements."""


def is_expressible(case: OpCase) -> bool:
    """Whether Relay has the op; results of nothing are constants, whatever the op."""
    empty = all(0 in type_.shape for type_ in case.result_types())
    return empty or (case.op not in UNSUPPORTED and case.id not in REFUSED)


EXPRESSIBLE = [case for case in CASES if is_expressible(case)]


SAMPLE = [*{case.op: case for case in EXPRESSIBLE[::-1]}.values(), *EXPRESSIBLE[::6]]
"""The first case of each op, and some more, for every day."""


@pytest.mark.parametrize("case", dict.fromkeys(SAMPLE), ids=str)
def test_cases_are_text_that_type_checks(case: OpCase) -> None:
    compile_module(case.module())  # parses and checks what it writes


@pytest.mark.slow
def test_every_case_is_text_that_type_checks() -> None:
    for case in EXPRESSIBLE:
        compile_module(case.module())


@pytest.mark.parametrize("case", [c for c in CASES if not is_expressible(c)], ids=str)
def test_what_relay_cannot_express_is_refused_by_name(case: OpCase) -> None:
    with pytest.raises(UnsupportedError, match=r"Relay 0\.10 cannot express"):
        compile_module(case.module())


def test_every_op_has_a_lowering_or_a_reason() -> None:
    structure = {"core.constant", "core.return", "core.yield"}
    named = {op for op in registry() if not isinstance(lookup(op), ElementwiseOp)}
    assert named - structure == set(lowered_ops()) | set(UNSUPPORTED)


RELAY_DIFFERS = {
    *("math.relu-f32-special", "quant.quantize-nan"),
    *("tensor.top_k-largest-weird", "tensor.top_k-smallest-weird"),
    *("nn.region_max_pool-weird", "nn.determinant-nan"),
    "nn.max_pool-weird",
}
"""NaN that is not kept; see docs/tvm.md."""


@pytest.mark.slow
@needs_relay
@pytest.mark.parametrize("start", range(0, len(EXPRESSIBLE), EVERY))
def test_relay_computes_the_same(start: int) -> None:
    batch = [case for case in EXPRESSIBLE[start : start + EVERY] if case.id not in RELAY_DIFFERS]
    assert dict(relay_differences([trial(case) for case in batch])) == {}


BY_ZERO = parse(
    """module "zeros" {
      func @main(%x: tensor<f32[4]>) -> ("a": tensor<f32[4]>, "b": tensor<f32[4]>,
                                         "c": tensor<f32[4]>) {
        %zero = core.constant() {value = dense<f32[], [0.0]>} : tensor<f32[]>
        %below = core.constant() {value = dense<f32[1], [-0.0]>} : tensor<f32[1]>
        %a = math.div(%x, %zero) : tensor<f32[4]>
        %b = math.div(%x, %below) : tensor<f32[4]>
        %c = math.floor_mod(%x, %zero) : tensor<f32[4]>
        core.return(%a, %b, %c)
      }
    }"""
)


def test_nothing_is_divided_by_the_number_zero() -> None:
    """TVM does not build that."""
    text = compile_module(BY_ZERO).files["model.relay"]
    assert "divide(" not in text
    assert "mod(" not in text


@pytest.mark.slow
@needs_relay
def test_infinities_come_of_it_all_the_same() -> None:
    inputs = {"x": np.array([1, -2, 0, np.nan], np.float32)}
    expected = interpret(BY_ZERO, inputs)
    found = runner(compile_module(BY_ZERO)).run(inputs)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)

"""Kernels keep no arrays on the stack: all their memory is in the plan."""

from __future__ import annotations

import re

import numpy as np
import pytest
from op_cases import cases

from burnish import compile, interpret, ir

STACK_ARRAY = re.compile(r"^\s+(?!static )[a-z_0-9]+ \w+\[[^\]]+\](?: = .*)?;$", re.MULTILINE)

FAMILIES = [
    *("nn.conv", "nn.conv_transpose", "nn.matmul", "nn.lstm", "nn.gru", "nn.softmax"),
    *("nn.layer_norm", "nn.average_pool", "nn.resize", "tensor.reduce", "tensor.top_k"),
]


@pytest.mark.parametrize("name", FAMILIES)
def test_no_kernel_declares_a_stack_array(name: str) -> None:
    for case in [case for case in cases() if case.op == name][:12]:
        compiled = compile(case.module(), "c", passes="")
        for file, text in compiled.source.items():
            if file.endswith(".c"):
                assert not STACK_ARRAY.findall(text), f"{case.id}: {file}"


def test_a_leaf_kernel_with_accumulators_runs_with_vectors() -> None:
    """GCC 12 misaligned the accumulators of this convolution and crashed."""
    rng = np.random.default_rng(0)
    module = ir.Module("net")
    x = rng.standard_normal((1, 129, 4)).astype(np.float32)
    function, builder = ir.build_function(module, "main", {"x": ir.tensor("f32", *x.shape)}, ["y"])
    weights = rng.standard_normal((128, 129, 3)).astype(np.float32)
    y = builder(
        "nn.conv",
        function.args[0],
        builder.constant(weights),
        strides=(1,),
        pads=(1, 1),
        dilations=(1,),
        groups=1,
    )
    builder.ret(y)
    expected = interpret(module, {"x": x})["y"]
    actual = compile(module, "c").run({"x": x})["y"]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)

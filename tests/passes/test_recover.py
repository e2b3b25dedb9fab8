"""What exporters make of an op, and that ``recover`` makes the op of it again.

A form is the body of a function, in which ``#0.5`` is a constant; the golden file shows it before
and after, and both are interpreted.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recovered_forms import FORMS, Form

import burnish
from burnish.ir import DType, Module, interpret, parse
from burnish.passes import run_pipeline, standard_stages
from burnish.testing import Golden

PIPELINE = "canonicalize,recover,fold,canonicalize,cse,dce"


def module_of(form: Form) -> Module:
    """The form as a module; every number in it is a constant of its own."""
    numbers = dict.fromkeys(re.findall(r"#([^\s,)]+)", form.body))
    names = {number: f"%c{i}" for i, number in enumerate(numbers)}
    constants = [
        f"{name} = core.constant() {{value = dense<f32[], [{number}]>}}"
        for number, name in names.items()
    ]
    body = re.sub(r"#([^\s,)]+)", lambda match: names[match.group(1)], form.body)
    lines = "\n".join([*constants, *map(str.strip, body.strip().splitlines())])
    return parse(
        f'module "form" {{ func @main({form.inputs}) -> ("y": {form.result}) {{ {lines} }} }}'
    )


@pytest.mark.parametrize("form", FORMS, ids=[form.name for form in FORMS])
def test_a_form_becomes_the_op(form: Form, golden: Golden) -> None:
    module = module_of(form)
    original = module.copy()
    pipeline = (
        PIPELINE.replace("recover", "recover{fast-math=true}") if form.fast_math else PIPELINE
    )
    run_pipeline(module, pipeline, verify="each")
    golden(f"{original}// {pipeline}\n{module}")
    found = [
        op.name for op in module.main.walk() if op.name not in ("core.constant", "core.return")
    ]
    assert found == list(form.ops)

    random = np.random.default_rng(0)
    inputs = {}
    for value, name in zip(original.main.args, original.main.arg_names):
        drawn = random.normal(size=value.type.shape)
        is_bool = value.type.dtype is DType.BOOL
        inputs[name] = drawn > 0 if is_bool else drawn.astype(value.type.dtype.numpy)
    expected, actual = interpret(original, inputs)["y"], interpret(module, inputs)["y"]
    loss = 1 if expected.dtype == np.float32 else 100
    np.testing.assert_allclose(actual, expected, rtol=loss * 2e-5, atol=loss * 2e-6)


@pytest.mark.parametrize("form", [f for f in FORMS if f.fast_math], ids=lambda form: form.name)
def test_fast_math_is_asked_for(form: Form) -> None:
    careful, asked = module_of(form), module_of(form)
    run_pipeline(careful, PIPELINE)
    run_pipeline(asked, PIPELINE.replace("recover", "recover{fast-math=true}"))
    assert careful != asked


MODELS = {
    "zoo/bert_tiny": {"nn.attention": 2, "nn.layer_norm": 5, "math.gelu": 2},
    "zoo/convnext": {"nn.layer_norm": 13, "math.gelu": 8},
    "zoo/deit_tiny": {"nn.attention": 4, "nn.layer_norm": 9, "math.gelu": 4},
    "zoo/efficientnet_b0": {"math.silu": 37},
    "zoo/efficientnet_v2": {"math.silu": 25},
    "zoo/ghostnet": {"math.hard_sigmoid": 2},
    "zoo/llama_decoder": {
        "nn.attention": 3,
        "nn.rotary_embedding": 6,
        "nn.rms_norm": 7,
        "math.silu": 3,
    },
    "zoo/mobilenet_v3_small": {"math.hard_swish": 13, "math.hard_sigmoid": 6},
    "zoo/mobilevit_xs": {"nn.attention": 9, "nn.layer_norm": 21, "math.silu": 34},
    "zoo/swin_tiny": {"nn.attention": 6, "nn.layer_norm": 16, "math.gelu": 6},
    "zoo/vit_tiny": {"nn.attention": 4, "nn.layer_norm": 9, "math.gelu": 4},
    "models/digits_vit": {"nn.attention": 2, "nn.layer_norm": 5, "math.gelu": 2},
    "models/ppocr_cls": {"math.hard_swish": 18, "math.hard_sigmoid": 9},
    "models/ppocr_v4_det": {"math.hard_swish": 24, "math.hard_sigmoid": 10},
    "models/ppocr_v4_rec": {
        "nn.attention": 2,
        "nn.layer_norm": 5,
        "math.silu": 7,
        "math.hard_swish": 28,
        "math.hard_sigmoid": 2,
    },
}
"""How many ops of each kind are in a model in the end."""


@pytest.mark.parametrize("model", MODELS)
def test_models_have_so_many(model: str, shared: Path) -> None:
    folder = shared / model
    inputs = _arrays(folder / "inputs.npz")
    expected = _arrays(folder / "expected.npz")
    inputs.pop("label", None)
    shapes = {name: array.shape for name, array in inputs.items()}
    module = burnish.import_onnx(folder / "model.onnx", dims=shapes)
    stages = standard_stages("onnx")
    run_pipeline(module, ",".join((stages["simplify"], stages["recover"])))
    found = Counter(op.name for op in module.main.walk())
    assert {name: found[name] for name in MODELS[model]} == MODELS[model]
    results = interpret(module, inputs)
    for name, array in expected.items():
        scale = np.abs(array).max()
        np.testing.assert_allclose(results[name], array, rtol=0, atol=1e-4 * scale, err_msg=name)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The first sample of each array."""
    with np.load(path) as arrays:
        return {name.replace("__slash__", "/"): arrays[name][0] for name in arrays.files}


def test_groups_of_heads_with_masks_of_their_own_stay_apart() -> None:
    """The op has one axis of heads; a mask that differs along one of two is not one of its."""
    (form,) = (form for form in FORMS if form.name == "attention-grouped-of-rank-five")
    module = module_of(
        replace(form, inputs=form.inputs.replace("[1, 1, 1, 3, 3]", "[1, 2, 1, 3, 3]"))
    )
    run_pipeline(module, PIPELINE)
    assert "nn.softmax" in {op.name for op in module.main.walk()}

"""The text of a few exported models."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from burnish import export_onnx, import_onnx, parse
from burnish.passes import run_pipeline, standard_pipeline
from burnish.testing import Golden

MODULES = {
    "quantized": """
module "quantized" {
  func @main(%x: tensor<f32[1, 8]>) -> ("y": tensor<f32[1, 4]>) {
    %w = core.constant() {value = splat<i8[8, 4], 3>, encoding = quant(0.5, 0)}
    %q = quant.quantize(%x) {encoding = quant(0.25, -3), dtype = i8}
    %r = quant.dequantize(%q)
    %f = quant.dequantize(%w)
    %y = nn.matmul(%r, %f) loc("dense": "MatMul")
    core.return(%y)
  }
}
""",
    "dynamic": """
module "dynamic" {
  symbols {N = 1..8}
  func @main(%x: tensor<f32[N, 4]>) -> ("y": tensor<f32[N, 2, 4]>, "z": tensor<f32[4*N]>) {
    %a = tensor.reshape(%x) {shape = [N, 1, 4]}
    %y = tensor.broadcast(%a) {shape = [N, 2, 4]}
    %z = tensor.reshape(%x) {shape = [4*N]}
    core.return(%y, %z)
  }
}
""",
    "choice": """
module "choice" {
  func @main(%x: tensor<f32[2]>, %go: tensor<bool[]>) -> ("y": tensor<f32[2]>) {
    %y = control.if(%go, %x) region(%t: tensor<f32[2]>) {
      %r = math.silu(%t)
      core.yield(%r)
    } region(%e: tensor<f32[2]>) {
      core.yield(%e)
    }
    core.return(%y)
  }
}
""",
}


@pytest.mark.parametrize("name", MODULES)
def test_text(name: str, golden: Golden) -> None:
    golden(onnx.printer.to_text(export_onnx(parse(MODULES[name]))), ".onnxtxt")


def test_example(root: Path, golden: Golden) -> None:
    module = import_onnx(root / "examples" / "digits" / "digits.onnx")
    run_pipeline(module, standard_pipeline("onnx"))
    model = export_onnx(module)
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > 64:  # shapes tell enough of weights
            tensor.CopyFrom(
                onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
            )
    golden(onnx.printer.to_text(model), ".onnxtxt")

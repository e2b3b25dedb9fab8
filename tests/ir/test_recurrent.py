"""Recurrent layers at the edges of arithmetic."""

from __future__ import annotations

import numpy as np

from burnish.ir import interpret, parse


def test_no_peepholes_are_no_zeros() -> None:
    """What fuzzing found: an infinite memory times an absent peephole was NaN."""
    module = parse(
        """
module "m" {
  func @main(%x: tensor<f32[1, 1, 1]>, %c: tensor<f32[1, 1, 1]>) -> ("y": tensor<f32[1, 1, 1, 1]>) {
    %w = core.constant() {value = dense<f32[1, 4, 1], [0.0, 0.0, 0.0, 0.0]>}
    %y, %h, %m = nn.lstm(%x, %w, %w, _, _, _, %c) {
      hidden_size = 1, activations = ["Sigmoid", "Tanh", "Tanh"]}
    core.return(%y)
  }
}
"""
    )
    inputs = {"x": np.ones((1, 1, 1), np.float32), "c": np.full((1, 1, 1), np.inf, np.float32)}
    assert interpret(module, inputs)["y"].item() == 0.5

"""No pass rewrites inside of groups: backends rely on their form."""

from __future__ import annotations

import numpy as np
import pytest

import burnish
from burnish.ir import interpret, parse
from burnish.passes import passes, run_pipeline

ABSORBED = """module "m" {
  func @main(%x: tensor<u32[1, 2, 4, 4]>) -> ("y": tensor<u32[1, 2, 4, 4]>) {
    %w = core.constant() {value = splat<u32[2, 2, 1, 1], 3>}
    %0 = nn.conv(%x, %w) {strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1]}
    %zero = core.constant() {value = dense<u32[], [0]>}
    %1 = math.bit_and(%0, %zero)
    core.return(%1)
  }
}"""


@pytest.mark.parametrize("name", sorted(name for name, cls in passes().items() if not cls.needs))
def test_a_group_stays_a_group(name: str) -> None:
    """What would be a constant outside of the group is computed all the same."""
    module = parse(ABSORBED)
    run_pipeline(module, f"fuse,{name}", verify="each")
    assert [op.name for op in module.main.body if op.regions] == ["core.group"]
    compiled = burnish.compile(module, target="c", passes="")
    inputs = {"x": np.arange(32, dtype=np.uint32).reshape(1, 2, 4, 4)}
    np.testing.assert_array_equal(compiled.run(inputs)["y"], interpret(module, inputs)["y"])

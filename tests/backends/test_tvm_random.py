"""Random modules in TVM, by the lowerings alone."""

from __future__ import annotations

from itertools import islice

import pytest
from random_trials import random_trials
from tvm_batches import tvm_differences

from burnish.backends import tvm
from burnish.backends.tvm.write import write_module

pytestmark = pytest.mark.skipif(not tvm.has_tvm(), reason="apache-tvm is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("start", [0, 500, 1000])
def test_tvm_computes_random_modules(start: int) -> None:
    trials = random_trials(start, "tvm", write_module)
    assert dict(tvm_differences(list(islice(trials, 16)))) == {}

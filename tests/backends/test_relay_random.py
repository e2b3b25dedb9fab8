"""Random modules in a TVM that has Relay."""

from __future__ import annotations

from itertools import islice

import pytest
from random_trials import random_trials
from relay_batches import batches, needs_relay, relay_differences

from burnish.backends.relay import compile_module


@pytest.mark.slow
@needs_relay
@pytest.mark.parametrize("start", [0, 500])
def test_relay_computes_random_modules(start: int) -> None:
    trials = list(islice(random_trials(start, "relay", compile_module), 12))
    assert [wrong for batch in batches(trials) for wrong in relay_differences(batch)] == []

"""Random modules as trials for backends that take what is known, finite numbers: tests of the
fuzzer's kind where a build takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from random import Random

import numpy as np
from fuzzer.agreement import differences
from fuzzer.checks import FOREIGN, interpreted
from fuzzer.maker import Profile, random_module
from trials import Results, Trial

from burnish.ir import DType, Error, Module
from burnish.ir.errors import UnsupportedError
from burnish.passes import run_pipeline, standard_pipeline

UNFIT = frozenset({"control.require", "nn.sparse_product"})
"""What is checked is an error at compile time; a weight of 0 that is left out is no 0 times x."""


def random_trials(
    start: int,
    pipeline: str,
    emit: Callable[[Module], object],
) -> Iterator[Trial]:
    """Trials from seed ``start`` on, without end: every other module as ``pipeline``, the standard
    one of that name, leaves it.  Left out are modules that ``emit`` refuses as unsupported, and
    those with results that are no numbers."""
    profile = Profile(8, special=False, symbols=False, without=UNFIT)
    for seed in count(start):
        draft = random_module(Random(seed), profile)
        expected = interpreted(draft.module, draft.inputs)
        if isinstance(expected, Error) or not _is_finite(expected):
            continue
        module = draft.module.copy()
        if seed % 2:
            run_pipeline(module, standard_pipeline(pipeline))
        try:
            emit(module)
        except UnsupportedError:
            continue
        yield Trial(
            f"seed {seed}", module, draft.inputs, _judge(draft.module, draft.inputs, expected)
        )


def _is_finite(results: Results) -> bool:
    return all(
        np.isfinite(array.astype(np.float64)).all()
        for array in results.values()
        if DType.from_numpy(array.dtype).is_float
    )


def _judge(module: Module, inputs: Results, expected: Results) -> Callable[[Results], None]:
    def judge(found: Mapping[str, np.ndarray]) -> None:
        wrong = differences(
            module, inputs, expected, found, reassociated=True, safety=FOREIGN, floor=FOREIGN
        )
        assert not wrong, str(wrong)

    return judge

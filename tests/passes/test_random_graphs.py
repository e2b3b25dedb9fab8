"""Every pass alone, random pipelines, and the standard ones keep the meaning of random modules.

The modules are those of the fuzzer (``tests/fuzz``), which knows every op.  Three judges see them:
equality of bits, where passes promise it; the fuzzer's bounds of rounding errors, which know
nothing of passes; and ``verify="semantic"`` itself, which makes what fails small.
"""

from __future__ import annotations

from random import Random

import pytest
from fuzzer.checks import disagreement, interpreted
from fuzzer.maker import MAKERS, Draft, Profile, random_module

from burnish.ir import DType, Error, lookup
from burnish.ir.elementwise import ElementwiseOp
from burnish.passes import passes, run_pipeline, standard_pipeline
from burnish.passes.layout import layout_models
from burnish.passes.promises import LOSSY
from burnish.passes.trust.equivalence import differing
from burnish.testing import assert_pipeline_preserves

OPS = 20
REQUIRE = frozenset({"control.require"})
"""A requirement that never holds is an error of the pass that sees it: it is not made."""

EVERYTHING = Profile(OPS, without=REQUIRE)
AFFINE = Profile(
    OPS,
    frozenset(
        {"nn.conv", "nn.conv_transpose", "nn.matmul", "nn.batch_norm", "nn.max_pool", "math.add"}
        | {"math.sub", "math.mul", "math.neg", "math.relu", "tensor.reshape", "tensor.transpose"}
        | {"tensor.pad", "tensor.concat", "tensor.slice", "tensor.reduce"}
    ),
    dtypes=frozenset({DType.F32}),
)
"""What weights are folded into, and what moves around it."""


def few_ops(random: Random) -> Profile:
    """A few ops, which then meet often."""
    names = sorted(MAKERS.keys() - REQUIRE)
    return Profile(OPS, only=frozenset(random.sample(names, 8)))


def random_draft(seed: int) -> Draft:
    random = Random(seed)
    profile = [EVERYTHING, AFFINE, few_ops(random)][seed % 3]
    return random_module(random, profile)


RUNNABLE = {
    **{name: name for name, cls in passes().items() if not cls.needs and cls.promise != LOSSY},
    **{f"layout of {name}": f'layout{{target="{name}"}}' for name in layout_models()},
}
"""All passes that keep results, with the options that they cannot do without."""


# Bit by bit ---------------------------------------------------------------------------------

EXACT_PASSES = ["canonicalize", "fold", "cse", "dce", "fuse", "fold-pad"]


def _chooses_zero(name: str) -> bool:
    """Whether the op may give any of 0 and -0."""
    definition = lookup(name)
    return isinstance(definition, ElementwiseOp) and (
        "min(" in definition.formula or "max(" in definition.formula
    )


EXACT_OPS = [name for name in MAKERS if isinstance(lookup(name), ElementwiseOp)]
EXACT_OPS += [f"tensor.{name}" for name in ("reshape", "transpose", "broadcast", "slice", "concat")]
EXACT_OPS += ["tensor.pad", "tensor.tile", "tensor.gather"]
EXACT = Profile(OPS, frozenset(name for name in EXACT_OPS if not _chooses_zero(name)))


@pytest.mark.parametrize("pipeline", [*EXACT_PASSES, ",".join(EXACT_PASSES)])
def test_exact_passes_keep_every_bit(pipeline: str) -> None:
    compared = 0
    for seed in range(40):
        draft = random_module(Random(seed), EXACT)
        module = draft.module.copy()
        run_pipeline(module, pipeline, verify="each")
        for inputs in (draft.inputs, *draft.others):
            expected, actual = interpreted(draft.module, inputs), interpreted(module, inputs)
            if not isinstance(expected, Error):
                assert not isinstance(actual, Error), f"{seed}: {actual}"
                for name, before in expected.items():
                    assert actual[name].dtype == before.dtype
                    assert not differing(before, actual[name]).any(), f"{seed}: {name}"
                    compared += 1
    assert compared > 100


# By bounds of rounding errors ---------------------------------------------------------------


@pytest.mark.parametrize(
    "pipeline", [*sorted(RUNNABLE.values()), standard_pipeline("c"), standard_pipeline("onnx")]
)
def test_passes_keep_results_within_rounding(pipeline: str) -> None:
    for seed in range(24):
        draft = random_draft(seed)
        module = draft.module.copy()
        run_pipeline(module, pipeline, verify="each")
        for inputs in (draft.inputs, *draft.others):
            expected, actual = interpreted(draft.module, inputs), interpreted(module, inputs)
            wrong = disagreement(draft.module, inputs, expected, actual, reassociated=True)
            assert not wrong, f"{seed}: {wrong}"


# By semantic verification -------------------------------------------------------------------


def random_pipeline(random: Random) -> str:
    """Up to eight passes."""
    names = sorted(RUNNABLE)
    return ",".join(RUNNABLE[random.choice(names)] for _ in range(random.randint(1, 8)))


def check(seed: int, pipeline: str = "") -> None:
    """A module and a pipeline that depend on the seed alone; a failure is made small."""
    module = random_draft(seed).module
    assert_pipeline_preserves(module, pipeline or random_pipeline(Random(seed)), seed=seed)


@pytest.mark.parametrize("name", sorted(RUNNABLE))
def test_each_pass_keeps_the_meaning(name: str) -> None:
    for seed in range(9):
        check(seed, RUNNABLE[name])


def test_random_pipelines_keep_the_meaning() -> None:
    for seed in range(30):
        check(seed)


@pytest.mark.slow
def test_random_pipelines_keep_the_meaning_for_long(
    request: pytest.FixtureRequest, fuzz_seed: int
) -> None:
    """A third of ``--fuzz-graphs``, from ``--fuzz-seed``, which a failure names."""
    graphs: int = request.config.getoption("fuzz_graphs")
    for seed in range(fuzz_seed, fuzz_seed + max(1, graphs // 3)):
        try:
            check(seed)
        except Exception as error:
            repeat = f"--fuzz-seed {seed} --fuzz-graphs 1 repeats this"
            raise AssertionError(repeat) from error

"""Kernels spread over several C files."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from op_batches import BATCH, CASES, STRICT, together

from burnish.backends import find_target
from burnish.backends.c import code_size, compile_module, runner
from burnish.backends.c.host import build
from burnish.backends.c.spread import MOST_FILES, PER_FILE, file_count, spread
from burnish.ir.errors import TargetError


def test_results_do_not_depend_on_the_number_of_files() -> None:
    module, inputs = together(CASES[:BATCH])
    expected = runner(compile_module(module)).run(inputs)
    for options in ({"files": 3}, {"files": 2, "threads": 2}, {"files": 4, "weights": "array"}):
        artifact = compile_module(module, options=options)
        assert f"cases_kernels_{options['files'] - 1}.c" in artifact.files
        found = build(artifact.files, artifact.manifest, STRICT).run(inputs)
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value)


def test_every_kernel_is_in_one_file() -> None:
    module, _ = together(CASES[:BATCH])
    single = compile_module(module, options={"files": 1}).files["cases.c"]
    spread_out = compile_module(module, options={"files": 3}).files
    pattern = re.compile(r"^CASES_KERNEL (?:void|int) (\w+)\([^;]*?\)\n\{", re.MULTILINE)
    found = [pattern.findall(str(spread_out[f"cases_kernels_{i}.c"])) for i in range(3)]
    assert [name for names in found for name in names] == pattern.findall(str(single))
    assert all(found)
    assert not pattern.findall(str(spread_out["cases.c"]))


def test_small_models_and_microcontrollers_have_one_file() -> None:
    module, _ = together(CASES[:4])
    assert "cases_internal.h" not in compile_module(module).files
    assert find_target("c").defaults["files"] == 0
    assert compile_module(module, "c:cortex-m4").manifest["options"]["files"] == 1
    assert file_count(PER_FILE * 3 + 5, 0) == 3
    assert file_count(PER_FILE * 300, 0) == MOST_FILES
    assert file_count(PER_FILE * 3, 1) == 1
    with pytest.raises(TargetError, match="from 0 to 256"):
        compile_module(module, options={"files": -1})


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
@pytest.mark.parametrize("sizes", [[], [5], [1] * 20, [100, 1, 1, 1], [1, 1, 1, 100], [3, 9] * 8])
def test_runs_cover_all_and_are_about_equal(sizes: list[int], count: int) -> None:
    runs = spread(sizes, count)
    assert [i for run in runs for i in run] == list(range(len(sizes)))
    assert len(runs) <= count
    assert all(runs)
    most = max((sum(sizes[i] for i in run) for run in runs), default=0)
    assert most <= sum(sizes) / count + max(sizes, default=0)


def test_the_code_of_all_files_is_counted() -> None:
    if shutil.which("size") is None:
        pytest.skip("size is not installed")
    module, _ = together(CASES[:8])
    one, three = (
        code_size(compile_module(module, options={"files": files}), find_target("c"))
        for files in (1, 3)
    )
    assert one is not None
    assert three is not None
    assert 0.9 < three / one < 1.5

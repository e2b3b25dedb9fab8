"""The emitted C on an emulated Cortex-M4: same outputs as on the host."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from burnish import compile

MODELS = ["tflm_sine", "digits_cnn", "mlperf_tiny_kws_dscnn"]
SAMPLES = 2
TOOLS = ["arm-none-eabi-gcc", "arm-none-eabi-size", "qemu-system-arm"]

pytestmark = [
    pytest.mark.mcu,
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in TOOLS),
        reason=f"needs {', '.join(TOOLS)} (packages gcc-arm-none-eabi, libnewlib-arm-none-eabi, "
        "qemu-system-arm)",
    ),
]


@pytest.fixture(scope="module")
def board(shared: Path) -> ModuleType:
    """Compiles C files and runs them on the emulated board."""
    spec = importlib.util.spec_from_file_location("run_mcu", shared / "mcu" / "run_mcu.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words(array: np.ndarray) -> str:
    """The bits of f32 data as C initializers."""
    return ", ".join(f"0x{word:08x}u" for word in array.astype("<f4").view("<u4").reshape(-1))


def main_c(prefix: str, samples: list[np.ndarray]) -> str:
    """A program that runs the model on each sample and prints the bits of its output."""
    macro = prefix.upper()
    data = ",\n    ".join(f"{{{words(sample)}}}" for sample in samples)
    return f"""#include <stdio.h>
#include <string.h>
#include "mcu.h"
#include "{prefix}.h"

static const uint32_t samples[{len(samples)}][{samples[0].size}] = {{
    {data}}};
static float input[{samples[0].size}];
static float output[{macro}_OUTPUT_0_ELEMENTS];
static uint64_t arena[{macro}_ARENA_BYTES / 8 + 1];

int main(void)
{{
    for (int k = 0; k < {len(samples)}; k++) {{
        const void *inputs[1] = {{input}};
        void *outputs[1] = {{output}};
        memcpy(input, samples[k], sizeof input);
        memset(arena, 0xA5, sizeof arena);
        mcu_stack_paint();
        uint64_t before = mcu_instructions();
        int status = {prefix}_run(inputs, outputs, arena);
        uint64_t after = mcu_instructions();
        printf("status %d\\n", status);
        printf("instructions run%d %lu\\n", k, (unsigned long)(after - before));
        printf("stack %lu\\n", (unsigned long)mcu_stack_used());
        for (int i = 0; i < {macro}_OUTPUT_0_ELEMENTS; i++) {{
            uint32_t bits;
            memcpy(&bits, &output[i], 4);
            printf("output %08lx\\n", (unsigned long)bits);
        }}
    }}
    return 0;
}}
"""


@pytest.mark.parametrize("name", MODELS)
def test_cortex_m4_agrees_with_the_host(
    name: str, shared: Path, board: ModuleType, tmp_path: Path
) -> None:
    folder = shared / "models" / name
    model = folder / "model.onnx"
    with np.load(folder / "inputs.npz") as stored:
        (key,) = [key for key in stored.files if key != "label"]
        samples = list(stored[key][:SAMPLES])
    host = compile(model, "c", options={"name": "net"})
    (input_name,) = host.module.main.arg_names
    (output_name,) = host.module.main.result_names
    expected = [host.run({input_name: sample})[output_name] for sample in samples]

    compiled = compile(model, "c:cortex-m4", options={"name": "net"})
    compiled.save(tmp_path / "out")
    program = tmp_path / "out" / "main.c"
    program.write_text(main_c("net", samples))
    emitted = sorted((tmp_path / "out").glob("net*.c"))
    strict = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only")
    subprocess.run([TOOLS[0], *compiled.target.flags, *strict, *emitted], check=True)
    flags = ("-O2", "-std=gnu99", "-ffp-contract=off")
    result = board.run([program, *emitted], cflags=flags, timeout=120)

    assert result.status == 0, result.stdout
    assert result.stdout.count("status 0") == len(samples)
    printed = [int(w.split()[1], 16) for w in result.stdout.splitlines() if "output" in w]
    actual = np.array(printed, np.uint32).view(np.float32).reshape(len(samples), -1)
    np.testing.assert_allclose(
        actual, np.stack(expected).reshape(len(samples), -1), rtol=1e-5, atol=1e-5
    )
    # Text and constants of the model alone; the stack a kernel takes stays small.
    stack = max(int(w.split()[1]) for w in result.stdout.splitlines() if w.startswith("stack"))
    assert stack < 4096

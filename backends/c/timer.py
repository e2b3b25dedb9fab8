"""A program that runs an emitted model again and again, and says how long each step takes.

Times are counted in *cycles*: how long the machine takes, at its peak, for as many products as it
can start in one cycle (:class:`~.isa.Isa`).  The program measures that peak itself, in the
same seconds, so that cycles compare between runs and with estimates, whatever the clock did.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from burnish.ir.errors import ToolchainError

from ..base import Artifact
from ..target import Target
from .driver import MEMORY
from .host import compile_files, processor
from .isa import Isa, isa_of
from .peak import peak_text
from .plan import CallStep, Plan

TIME_LIMIT = 60.0
"""Seconds after which a program that does not end is stopped."""

_PROGRAM = """\
/* Runs {name} for as many seconds as asked, and prints the least time of each step. */
#define _POSIX_C_SOURCE 199309L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "{name}.h"

static double least[{steps} + 1], last;

static double seconds(void)
{{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}}

{memory}
{peak}
void timer_step(int number)
{{
    const double now = seconds();
    if (least[number] == 0 || now - last < least[number]) {{
        least[number] = now - last;
    }}
    last = seconds();
}}

int main(int argc, char **argv)
{{
    static const size_t input_bytes[] = {{{input_bytes}0}}, output_bytes[] = {{{output_bytes}0}};
    static const int is_float[] = {{{is_float}0}};
    const void *inputs[{inputs} + 1];
    void *outputs[{outputs} + 1];
    void *arena = memory({macro}_ARENA_BYTES, {macro}_ARENA_ALIGNMENT);
    const double end = seconds() + (argc > 1 ? atof(argv[1]) : 0.1);
    uint32_t random = 1;
    double best = 0, found;
    int i, rounds = 0;
    for (i = 0; i < {inputs}; i++) {{
        unsigned char *data = memory(input_bytes[i], 64);
        size_t k;
        for (k = 0; k < input_bytes[i]; k++) {{
            data[k] = 0;
        }}
        for (k = 0; is_float[i] && k < input_bytes[i] / sizeof(float); k++) {{
            random = random * 1664525u + 1013904223u;
            ((float *)data)[k] = (float)(int32_t)random / 2147483648.0f;
        }}
        inputs[i] = data;
    }}
    for (i = 0; i < {outputs}; i++) {{
        outputs[i] = memory(output_bytes[i], 64);
    }}
    do {{
        last = seconds();
        if ({name}_run(inputs, outputs, arena) != {macro}_OK) {{
            return 1;
        }}
        if (rounds++ % 8 == 0) {{
            found = peak();
            best = found > best ? found : best;
        }}
    }} while (rounds < 4 || seconds() < end);
    printf("%.9g\\n", best);
    for (i = 0; i < {steps}; i++) {{
        printf("%.9g\\n", least[i]);
    }}
    return 0;
}}
"""


@dataclass(frozen=True)
class TimerJob:
    """All that is needed to build a program that times: it can be sent to another machine.

    Attributes:
        files: the sources by name.
        target: what they are built for.
        flags: those that follow the target's.
    """

    files: Mapping[str, str | bytes]
    target: Target
    flags: tuple[str, ...]


@dataclass(frozen=True)
class TimerProgram:
    """A built program, and the processor that it was built on and for."""

    data: bytes
    processor: str


def timer_job(artifact: Artifact, target: Target) -> TimerJob:
    """What to build to time the steps of ``artifact``, which was emitted with ``profile=on``.

    Raises:
        ValueError: the model has sizes known at run time only, or was emitted otherwise.
    """
    manifest = artifact.manifest
    if manifest.get("sizes") or not manifest["options"]["profile"]:
        raise ValueError("only static models emitted with profile=on can be timed")
    hook = f"-D{manifest['name'].upper()}_STEP(n)=do{{void timer_step(int);timer_step(n);}}while(0)"
    steps = 1 + max((step.number for step in call_steps(artifact)), default=-1)
    files = {**artifact.files, "timer.c": _timer_text(manifest, steps, isa_of(target))}
    return TimerJob(files, target, (hook,))


def build_timer(job: TimerJob) -> TimerProgram:
    """Build a job on this machine; the result can run on others with the same processor.

    Raises:
        ToolchainError: there is no compiler, or it refuses the sources.
    """
    built = compile_files(job.files, job.target, "timer", job.flags)
    return TimerProgram(built.read_bytes(), processor())


def run_timer(program: TimerProgram, isa: Isa, seconds: float) -> list[float]:
    """Cycles of each step by number: the least of all runs within ``seconds``.

    Raises:
        ToolchainError: the program is for another processor, or does not end well.
    """
    if program.processor != processor():
        raise ToolchainError(
            "a program to be timed was built on another processor",
            help="build where the processor is the same as that of the machine that times",
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "timer"
        path.write_bytes(program.data)
        path.chmod(0o700)
        try:
            answer = subprocess.run(
                [str(path), str(seconds)],
                capture_output=True,
                text=True,
                check=False,
                timeout=TIME_LIMIT + seconds,
            )
        except subprocess.TimeoutExpired:
            raise ToolchainError("a kernel to be timed does not end") from None
    if answer.returncode != 0:
        raise ToolchainError(f"a kernel to be timed failed with status {answer.returncode}")
    peak, *steps = map(float, answer.stdout.split())
    cycle = isa.lanes * isa.products / peak
    return [step / cycle for step in steps]


def call_steps(artifact: Artifact) -> list[CallStep]:
    """The steps that call kernels."""
    plan = artifact.stages["plan"]
    assert isinstance(plan, Plan)
    return [step for step in plan.walk() if isinstance(step, CallStep)]


def _timer_text(manifest: Mapping[str, Any], steps: int, isa: Isa) -> str:
    name, macro = manifest["name"], manifest["name"].upper()
    inputs, outputs = manifest["inputs"], manifest["outputs"]
    return _PROGRAM.format(
        name=name,
        macro=macro,
        steps=steps,
        memory=MEMORY,
        peak=peak_text(isa),
        inputs=len(inputs),
        outputs=len(outputs),
        input_bytes="".join(f"{macro}_INPUT_{i}_BYTES, " for i in range(len(inputs))),
        output_bytes="".join(f"{macro}_OUTPUT_{i}_BYTES, " for i in range(len(outputs))),
        is_float="".join(f"{int(entry['dtype'] == 'f32')}, " for entry in inputs),
    )

"""The target ``tvm``, and its options."""

from __future__ import annotations

from ..c.targets import OPTIONS as C_OPTIONS
from ..target import Option, Target, find_target, register_backend, register_target

SHARED_OPTIONS = ("winograd", "threads")
"""Options of the C backend that say how kernels are written, which are called from Relax."""

CPU = "tvm"
CUDA = "tvm:cuda"

DEVICE = Option(
    "device",
    f"what runs the module: this processor, or a GPU of NVIDIA as by the target {CUDA}",
    "cpu",
    ("cpu", "cuda"),
    targets={"cpu": CPU, "cuda": CUDA},
)

CUDA_OPTIONS = (
    Option(
        "arch",
        "generation of the GPU that tvm:cuda compiles for, as nvcc calls it: sm_80 is A100, sm_89 "
        "RTX 40, sm_90 H100 and H200",
        "sm_90",
    ),
    Option(
        "dtype",
        "what tvm:cuda computes products of matrices, convolutions and attention in: floats of 32 "
        "bits as they are, or rounded to 16 (fp16, bf16) and summed in 32; all else stays as it is",
        "fp32",
        ("fp32", "fp16", "bf16"),
    ),
)
"""Options that make no difference on a processor."""

OPTIONS = (
    DEVICE,
    *(option for option in C_OPTIONS if option.name in SHARED_OPTIONS),
    *CUDA_OPTIONS,
)
register_backend("tvm", OPTIONS)

KERNELS = "c"
"""The target that kernels are emitted and compiled for."""

_HOST = find_target(KERNELS)
register_target(
    Target(
        CPU,
        "tvm",
        "TVM Relax on this machine: a module for apache-tvm that calls burnish's kernels",
        _HOST.compilers,
        _HOST.flags,
        host=True,
        isa=_HOST.isa,
        threads=_HOST.threads,
        pipeline=KERNELS,
    )
)

register_target(
    Target(
        CUDA,
        "tvm",
        "TVM Relax on a GPU of NVIDIA: a module for apache-tvm whose kernels are CUDA",
        host=True,
        defaults={DEVICE.name: "cuda"},
    )
)

"""The target ``tvm``, and its options."""

from __future__ import annotations

from ..c.targets import OPTIONS as C_OPTIONS
from ..target import Target, find_target, register_backend, register_target

SHARED_OPTIONS = ("winograd", "threads")
"""Options of the C backend that say how kernels are written, which are called from Relax."""

OPTIONS = tuple(option for option in C_OPTIONS if option.name in SHARED_OPTIONS)
register_backend("tvm", OPTIONS)

KERNELS = "c"
"""The target that kernels are emitted and compiled for."""

_HOST = find_target(KERNELS)
register_target(
    Target(
        "tvm",
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

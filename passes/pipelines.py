"""The standard pipelines, as data: named stages of pipeline text."""

from __future__ import annotations

from collections.abc import Mapping

CLEANUP = "canonicalize,fold,cse,dce"
"""Exact simplifications; cheap enough to run between the others."""

STAGES: Mapping[str, str] = {
    "channels": "canonicalize,cse,prune-channels,dce",
    "simplify": f"{CLEANUP},hoist-invariants,unroll-loops,canonicalize,fold",
    "recover": f"recover,fold,{CLEANUP}",
    "dequantize": "fold{growth=4.0}",
    "shapes": f"shape-cleanup,fold,{CLEANUP}",
    "affine": f"fold-batch-norm,fold-pad,trim-kernels,{CLEANUP}",
    "windows": f"conv-to-matmul,fold,{CLEANUP}",
    "sparsity": "recognize-sparsity",
    "horizontal": "fuse-horizontal,dce",
    "rows": "gather-rows,dce",
    "fuse": "fuse,dce",
    "unroll": f"unroll-loops{{max-ops=1024}},fold,{CLEANUP}",
}
"""The stages of the full pipeline, in order; golden tests look at the IR after each."""

BACKENDS: Mapping[str, tuple[str, ...]] = {
    "c": (
        *("channels", "simplify", "recover", "dequantize", "shapes", "affine", "windows"),
        *("sparsity", "fuse"),
    ),
    "tvm": ("channels", "simplify", "recover", "shapes", "affine"),
    "relay": ("channels", "simplify", "recover", "shapes", "affine", "unroll"),
    "onnx": ("channels", "simplify", "recover", "shapes", "affine", "horizontal", "rows"),
}
"""Stages per backend: TVM fuses by itself, ONNX has no groups.  A loop of Relay is a function that
calls itself, each time through its virtual machine, so that more loops are unrolled.

Channels go first, while quantized weights are still integers.  The C backend computes quantized
models in floats, so 8-bit weights become floats there.  Horizontal fusion makes fewer nodes for
ONNX; the slices behind it cost the C backend more than it gains.
"""


def standard_stages(backend: str, layouts: str = "") -> dict[str, str]:
    """The stages of a backend's standard pipeline by name, in order; all of them if unknown.

    ``layouts`` names whose offers the pass ``layout`` chooses from; without, there is no such
    stage, and all tensors stay in row-major order.
    """
    names = BACKENDS.get(backend, tuple(STAGES))
    stages = {name: STAGES[name] for name in names}
    if layouts:
        fuse = stages.pop("fuse", None)
        stages["layout"] = f"layout{{target={layouts}}},dce"
        stages |= {} if fuse is None else {"fuse": fuse}
    return stages


def standard_pipeline(backend: str, layouts: str = "") -> str:
    """The standard pipeline of a backend (``c``, ``tvm``, ``relay``, ``onnx``) as text."""
    return ",".join(standard_stages(backend, layouts).values())

"""The target ``relay``, and its options."""

from __future__ import annotations

from ..target import Option, Target, register_backend, register_target
from .layouts import CHOICES, DEFAULT
from .operators import VERSIONS

OPTIONS = (
    Option(
        "relay-version",
        "release of TVM whose forms of operators are written; the few that differ are listed in "
        "docs/tvm.md",
        VERSIONS[0],
        VERSIONS,
    ),
    Option(
        "quantize",
        "how tensors are quantized: exact (ties to even, as ONNX has it, by arithmetic) or qnn "
        "(qnn.quantize, which takes ties away from zero, and clip, which does not keep NaN: both "
        "known to Relay's passes)",
        "exact",
        ("exact", "qnn"),
    ),
    Option(
        "weights",
        "how products read weights of which three quarters or more are zeros: dense, or sparse "
        "(without the zeros, as compressed rows of numbers or blocks)",
        "dense",
        ("dense", "sparse"),
    ),
    Option(
        "layout",
        "in which order convolutions and pooling have their tensors, where TVM computes them in "
        "it: NCHW, NHWC (NWC, NDHWC) or, in two dimensions, blocks of channels",
        DEFAULT,
        CHOICES,
    ),
    Option(
        "groups",
        "what is computed together: inline (TVM fuses by itself), primitive (every convolution "
        "and product with what follows it, and every chain of elementwise ops, is a function that "
        "TVM makes one kernel of) or composite (every group is a function with the name of its "
        "pattern, for code generators outside of TVM)",
        "inline",
        ("inline", "primitive", "composite"),
    ),
    Option(
        "codegen",
        "the code generator whose patterns composite functions are named as: dnnl gives "
        "dnnl.conv2d_bias_relu",
        "burnish",
    ),
)
register_backend("relay", OPTIONS)

register_target(
    Target("relay", "relay", "TVM Relay: text and parameters, for TVM up to 0.19", host=True)
)

"""The target ``onnx``, and its options."""

from __future__ import annotations

from ..target import Option, Target, register_backend, register_target

OPTIONS = (
    Option(
        "opset",
        "version of the standard operators; 0 for the newest that runtimes know well, or the "
        "first newer one in which the model can be written",
        0,
    ),
    Option(
        "external-data",
        "weights in a file beside the model: auto (where it grows beyond 2 GB), on, off",
        "auto",
        ("auto", "on", "off"),
    ),
)
register_backend("onnx", OPTIONS)

register_target(Target("onnx", "onnx", "ONNX again, optimized", host=True))

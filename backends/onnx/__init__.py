"""The ONNX backend: optimized ONNX out."""

from . import targets
from .compile import code_size, compile_module, runner, runner_from_files
from .export import DEFAULT_OPSET, export_onnx
from .files import model_files
from .schemas import newest_opset

__all__ = [
    "DEFAULT_OPSET",
    "code_size",
    "compile_module",
    "export_onnx",
    "model_files",
    "newest_opset",
    "runner",
    "runner_from_files",
    "targets",
]

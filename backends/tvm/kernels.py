"""The kernels of a library for GPUs, compiled when the model is.

TVM keeps kernels as text, and compiles them where the library is loaded.  So that this needs no
compiler, and that what a compiler refuses is known at once, ``nvcc`` makes code for the GPU of the
text here; TVM's question for it is answered with that.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator
from typing import Any

from .package import tvm_package

CALLBACK = "tvm_callback_cuda_compile"
"""The function that TVM calls with the text of kernels, for their code."""

_KNOWN: dict[str, bytes] = {}
"""Code by the digest of its text."""


def kernels_text(library: Any) -> str | None:
    """The text of the kernels of a library of TVM; None if it has none."""
    texts = (str(part.inspect_source()) for part in _parts(library) if part.kind == "cuda")
    return next(texts, None)


def compile_kernels(text: str, target: Any) -> bytes:
    """Code for the generation of GPUs that ``target`` names, and later ones.

    Raises:
        RuntimeError: ``nvcc`` refuses.
    """
    number = str(target.attrs["arch"]).removeprefix("sm_")
    codes = f"arch=compute_{number},code=[sm_{number},compute_{number}]"
    with target:
        code = importlib.import_module("tvm.support.nvcc").compile_cuda(
            text, target_format="fatbin", arch=["-gencode", codes], compiler="nvcc"
        )
    return bytes(code)


def digest(text: str) -> str:
    """By which the code of a text is known."""
    return hashlib.sha256(text.encode()).hexdigest()


def provide(name: str, code: bytes) -> None:
    """Answer TVM with ``code`` for the text whose digest is ``name``."""
    if not _KNOWN:
        _answer()
    _KNOWN[name] = code


def _answer() -> None:
    tvm = tvm_package()
    otherwise = tvm.get_global_func(CALLBACK)

    def code_of(text: str) -> bytes:
        return _KNOWN.get(digest(text)) or bytes(otherwise(text))

    tvm.register_global_func(CALLBACK, code_of, override=True)


def _parts(library: Any) -> Iterator[Any]:
    yield library
    for part in library.imports:
        yield from _parts(part)

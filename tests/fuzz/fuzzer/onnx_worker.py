"""A process that draws ONNX graphs, because onnxruntime may crash on them.

The process that asks never loads onnxruntime.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .onnx_graphs import Drawn

PATIENCE = 120
"""Seconds for one graph."""


MOST_CRASHES = 5


class Worker:
    """Draws graphs by seed; a new process replaces one that died."""

    def __init__(self) -> None:
        self._child: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._crashes = 0
        """In a row: a few are onnxruntime's."""

    def draw(self, seed: str) -> Drawn | None:
        """The graph of a seed; None where onnxruntime crashed on it."""
        if self._pipe is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, other = context.Pipe()
            self._child = context.Process(target=_serve, args=(other,), daemon=True)
            self._child.start()
            other.close()
        try:
            self._pipe.send(seed)
            if self._pipe.poll(PATIENCE):
                drawn: Drawn | Exception = self._pipe.recv()
                self._crashes = 0
                if isinstance(drawn, Exception):
                    raise drawn
                return drawn
        except (EOFError, BrokenPipeError, ConnectionResetError):
            pass
        self.close()
        self._crashes += 1
        if self._crashes > MOST_CRASHES:
            raise RuntimeError("the process that draws ONNX graphs does not live")
        return None

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.join()
        self._child = self._pipe = None


def _serve(pipe: Connection) -> None:
    from .onnx_graphs import random_onnx

    while True:
        try:
            seed = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(random_onnx(Random(seed)))
        except Exception as error:
            pipe.send(RuntimeError(f"{seed}: {error!r}"))

"""The models that a benchmark's command line asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from networks import NETWORKS


def model_files(arguments: Sequence[str], folder: Path) -> Iterator[Path]:
    """Files as they are, the models below folders, and networks by name, written to ``folder``."""
    for argument in arguments:
        path = Path(argument)
        if argument in NETWORKS:
            path = folder / f"{argument}.onnx"
            path.write_bytes(NETWORKS[argument]().SerializeToString())
            yield path
        elif path.is_dir():
            yield from sorted(path.rglob("*.onnx"))
        else:
            yield path


def label(path: Path) -> str:
    """What a table calls a model: a file's name, with the folder where that names it."""
    if path.stem == "model":
        return path.parent.name
    return path.stem if path.stem in NETWORKS else f"{path.parent.name}/{path.stem}"

"""Inputs to run a model on: from files, beside the model, or seeded random numbers.

A *sample* is one array per input.  An ``.npz`` of samples holds one array per input whose
leading axis counts samples, so ``array[k]`` is what to feed for sample ``k``.  Members of a zip
archive are paths, so "/" in a name is written ``__slash__``.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from burnish.ir import Function, TensorType
from burnish.ir.constants import Array
from burnish.ir.errors import InputError, clip

from .outputs import write_file

SLASH = "__slash__"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Samples:
    """Samples of equal shapes: per input, an array whose leading axis counts them.

    ``origin`` says, for people, where they come from.
    """

    arrays: Mapping[str, Array]
    origin: str

    def __len__(self) -> int:
        return min((len(array) for array in self.arrays.values()), default=1)

    def __getitem__(self, index: int) -> dict[str, Array]:
        return {name: np.asarray(array[index]) for name, array in self.arrays.items()}

    def __iter__(self) -> Iterator[dict[str, Array]]:
        return (self[index] for index in range(len(self)))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one sample, per input."""
        return {name: array.shape[1:] for name, array in self.arrays.items()}

    def first(self, count: int) -> Samples:
        """The first ``count`` samples."""
        return Samples({name: a[:count] for name, a in self.arrays.items()}, self.origin)


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays of an ``.npz`` (by name), or of an ``.npy`` under the name "".

    Raises:
        InputError: the file is missing, damaged, or holds Python objects.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return {"": loaded}
            return {name.replace(SLASH, "/"): loaded[name] for name in loaded.files}
    except FileNotFoundError:
        raise InputError("the file does not exist", at=clip(str(path))) from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"the file holds no arrays: {clip(str(error))}",
            at=clip(str(path)),
            help="write it with numpy.save or numpy.savez, without Python objects",
        ) from None


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Array]) -> None:
    """Write an ``.npz``; unlike ``numpy.savez``, for any names and without a time of day.

    Raises:
        OutputError: the file cannot be written.
    """
    write_file(path, arrays_bytes(arrays))


def arrays_bytes(arrays: Mapping[str, Array]) -> bytes:
    """The bytes of an ``.npz``: for any names, and always the same for the same arrays."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            member = zipfile.ZipInfo(f"{name.replace('/', SLASH)}.npy", _EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, buffer.getvalue())
    return content.getvalue()


def file_beside(model: str | os.PathLike[str]) -> Path | None:
    """The samples that lie beside a model file, if any.

    ``NAME_inputs.npz`` belongs to ``NAME.onnx``; ``inputs.npz`` to any model of the folder.
    """
    path = Path(model)
    for name in (f"{path.stem}_inputs.npz", "inputs.npz"):
        if (path.parent / name).is_file():
            return path.parent / name
    return None


def read_samples(path: str | os.PathLike[str], names: Sequence[str]) -> Samples:
    """The samples in ``path`` for inputs of those names; other arrays are ignored.

    Raises:
        InputError: an input is missing, or the arrays count different numbers of samples.
    """
    arrays = read_arrays(path)
    missing = [name for name in names if name not in arrays]
    if missing:
        raise InputError(
            f'there is no array for input "{clip(missing[0])}"',
            at=clip(str(path)),
            help=f"the file holds {', '.join(map(clip, arrays)) or 'nothing'}",
        )
    chosen = {name: arrays[name] for name in names}
    counts = {name: len(a) if a.ndim else 0 for name, a in chosen.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        said = ", ".join(f"{clip(name)}: {count}" for name, count in counts.items())
        raise InputError(
            f"the leading axis must count the same samples for every input ({said})",
            at=clip(str(path)),
        )
    return Samples(chosen, str(path))


def seeded_samples(function: Function, count: int, seed: int = 0) -> Samples:
    """Random samples for a function of static shapes, the same for the same seed.

    Floating-point inputs are standard normal.  8- and 16-bit integers, which carry quantized
    signals, span their type; wider integers are most often indices, tokens or masks and are
    0 or 1, which nearly every model accepts.

    Raises:
        InputError: the shape of an input is not known, or the seed is negative.
    """
    if seed < 0:
        raise InputError(f"the seed is {seed}, but must not be negative")
    generator = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}
    for name, value in zip(function.arg_names, function.args):
        if not value.type.is_static:
            raise InputError(
                f'the shape of input "{clip(name)}" is not known: {value.type}',
                help="bind its dimensions with --dim or --shape",
            )
        arrays[name] = _random(generator, value.type, count)
    return Samples(arrays, f"random numbers, seed {seed}")


def _random(generator: np.random.Generator, type_: TensorType, count: int) -> Array:
    shape = (count, *type_.static_shape)
    dtype = type_.dtype
    if dtype.is_float:
        return generator.standard_normal(shape).astype(dtype.numpy)
    if not dtype.is_integer or dtype.bits > 16:
        return generator.integers(0, 2, shape).astype(dtype.numpy)
    low, high = dtype.integer_range
    return generator.integers(low, high + 1, shape).astype(dtype.numpy)

"""Building emitted C with the system's compiler and calling it from Python.

Builds are cached by content: sources, flags, compiler and processor make the key.  A build goes
into a temporary folder first and is moved into place, so that concurrent builds do not disturb
each other; an unreadable cache entry is built anew.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import platform
import shutil
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from burnish.ir import Array, Dim, DType, parse_dim, symbol
from burnish.ir.binding import bind_shapes
from burnish.ir.dims import quote_symbol
from burnish.ir.errors import Error, InputError, ToolchainError, clip, memory_errors
from burnish.ir.interpreter import named_arrays

from ..cache import cache_folder, unwritable
from ..target import OptionValue, Target
from .driver import driver_text

SHOWN_LINES = 12
"""Lines of the compiler's message that an error repeats."""

SHOWN_COLUMNS = 200
"""Characters of each of those lines."""

RUN_ERRORS = {
    1: "an index tensor points out of range",
    2: "the weights are not loaded, or do not fit",
    3: "a loop ran more or less often than its results allow",
    4: "data that decides a shape or a count is not what the model declares",
    5: "a dimension lies outside its range",
}


def find_compiler(target: Target) -> list[str]:
    """The command of a C compiler for ``target``; ``CC`` decides for host targets.

    Raises:
        ToolchainError: none is installed.
    """
    chosen = os.environ.get("CC", "").split() if target.host else []
    for command in [chosen] if chosen else [[name] for name in target.compilers]:
        path = shutil.which(command[0])
        if path is not None:
            return [path, *command[1:]]
    wanted = chosen[0] if chosen else " or ".join(target.compilers)
    package = {"arm-none-eabi-gcc": "gcc-arm-none-eabi"}.get(target.compilers[0], "gcc")
    raise ToolchainError(
        f"target {target.name} needs a C compiler, but {wanted} is not installed",
        help=f"install one (on Debian and Ubuntu: apt-get install {package}), "
        + ("or set CC to its command" if target.host else "and put it on the PATH"),
    )


@lru_cache(maxsize=16)
def compiler_version(command: tuple[str, ...]) -> str:
    """What the compiler says of itself."""
    answer = _execute([*command, "--version"])
    return answer.stdout or answer.stderr


@lru_cache(maxsize=16)
def compiler_macros(command: tuple[str, ...]) -> frozenset[str]:
    """The names of the macros that a compiler defines with these flags.

    Raises:
        ToolchainError: it cannot be run, or does not say.
    """
    answer = _execute([*command, "-dM", "-E", "-x", "c", os.devnull])
    if answer.returncode != 0:
        raise ToolchainError(f"{command[0]} does not tell its macros")
    lines = (line.split() for line in answer.stdout.splitlines())
    return frozenset(words[1] for words in lines if len(words) > 1)


def _execute(
    command: Sequence[str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a compiler; what it says may hold any bytes.

    Raises:
        ToolchainError: it is no program of this machine.
    """
    try:
        return subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise ToolchainError(
            f"the compiler {clip(command[0])} cannot be run: {error.strerror}",
            help="set CC to the command of a C compiler",
        ) from None


@lru_cache(maxsize=1)
def processor() -> str:
    """What ``-march=native`` depends on, so that a cache in a shared home stays correct."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    facts = ("flags", "Features", "model name", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(facts)}))


def thread_flags(options: Mapping[str, OptionValue]) -> tuple[str, ...]:
    """What compilers must be told for a model with these options."""
    return ("-pthread",) if options["threads"] != 1 else ()


def compile_files(
    files: Mapping[str, str | bytes],
    target: Target,
    output: str,
    flags: Sequence[str],
) -> Path:
    """Compile the C and assembly sources among ``files`` into ``output``, cached.

    Objects among them are linked with what the sources become.

    ``flags`` follow the target's.  Several sources are compiled at a time, as many as there are
    processors.  Returns the path of the result.

    Raises:
        ToolchainError: there is no compiler, or it refuses the sources.
    """
    compiler = find_compiler(target)
    sources = sorted(name for name in files if name.endswith((".c", ".S", ".o")))
    arguments = [*target.flags, *flags, *sources, "-o", output, "-lm"]
    key = hashlib.sha256()
    for part in (*compiler, compiler_version(tuple(compiler)), processor(), *arguments):
        key.update(part.encode() + b"\0")
    for name in sorted(files):
        content = files[name]
        data = content.encode() if isinstance(content, str) else content
        key.update(f"{name}\0{len(data)}\0".encode())
        key.update(data)
    folder = cache_folder() / "c" / key.hexdigest()[:32]
    if not (folder / output).is_file():
        _build(files, [*compiler, *target.flags, *flags], sources, output, folder)
    return folder / output


def _build(
    files: Mapping[str, str | bytes],
    command: Sequence[str],
    sources: Sequence[str],
    output: str,
    folder: Path,
) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="build-", dir=folder.parent))
        _write_sources(work, files)
        inputs = list(sources)
        if len(sources) > 1:
            inputs = [s if s.endswith(".o") else f"{s}.o" for s in sources]
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                pairs = [(s, o) for s, o in zip(sources, inputs) if s != o]
                parts = [[*command, "-c", s, "-o", o] for s, o in pairs]
                list(pool.map(lambda part: _run_compiler(part, work, part[-1]), parts))
        _run_compiler([*command, *inputs, "-o", output, "-lm"], work, output)
        # The result alone is kept: what it was made of is known by the key.
        kept = Path(tempfile.mkdtemp(prefix="done-", dir=folder.parent))
        shutil.move(str(work / output), str(kept / output))
        shutil.rmtree(work, ignore_errors=True)
        _publish(kept, folder, output)
    except OSError as error:
        raise unwritable(folder.parent, error) from None


def _write_sources(work: Path, files: Mapping[str, str | bytes]) -> None:
    """Write ``files`` into ``work``, which is removed where that is impossible."""
    try:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (work / name).write_bytes(data)
    except OSError:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _run_compiler(command: Sequence[str], work: Path, output: str) -> None:
    """Compile the sources in ``work`` to ``output``; they stay there when that fails."""
    answer = _execute(command, work)
    failure = ""
    if answer.returncode != 0:
        failure = f"failed with status {answer.returncode}"
    elif not (work / output).is_file():
        failure = f"ended well, but wrote no {output}"
    if failure:
        lines = [clip(line, SHOWN_COLUMNS) for line in answer.stderr.strip().splitlines()]
        shown = "".join(f"\n    {line}" for line in lines[:SHOWN_LINES])
        raise ToolchainError(
            f"{Path(command[0]).name} {failure}{':' if shown else ''}{shown}",
            at=f"the sources are in {work}",
            help=f"the command was: {' '.join(command)}",
        )


def _publish(kept: Path, folder: Path, output: str) -> None:
    """Move a finished folder into place; another process may have been first."""
    try:
        kept.rename(folder)
        return
    except OSError:
        if (folder / output).is_file():
            shutil.rmtree(kept, ignore_errors=True)
            return
    shutil.rmtree(folder, ignore_errors=True)  # a broken entry
    kept.rename(folder)


class CRunner:
    """A compiled model in this process, called through ctypes.

    ``run`` may be called from several threads at once: each call has an arena to itself, or
    its turn where the arena is the model's own.
    """

    def __init__(self, library: Path, manifest: Mapping[str, Any], weights: bytes | None) -> None:
        self.manifest = manifest
        shared = manifest["options"]["arena"] == "static"
        self._arenas: list[Array] = []
        self._turn: AbstractContextManager[Any] = threading.Lock() if shared else nullcontext()
        try:
            self._library = ctypes.CDLL(str(library))
            self._run = getattr(self._library, f"{manifest['name']}_run")
        except (OSError, AttributeError) as error:
            raise ToolchainError(f"the built library cannot be loaded: {error}") from None
        pointers = ctypes.POINTER(ctypes.c_void_p)
        self._run.argtypes = (pointers, pointers, ctypes.c_void_p)
        if manifest.get("sizes"):
            self._run.argtypes = (pointers, pointers, ctypes.c_void_p, ctypes.c_void_p)
        self._run.restype = ctypes.c_int
        if manifest["options"]["threads"] != 1:
            # Threads of a model that nobody can run any more would sleep until the program ends.
            weakref.finalize(self, getattr(self._library, f"{manifest['name']}_shutdown"))
        self._weights: Array | None = None
        if manifest["options"]["weights"] == "load" and weights:
            self._load_weights(weights)

    def _load_weights(self, data: bytes) -> None:
        self._weights = _aligned(len(data), self.manifest["alignment"])
        self._weights[:] = np.frombuffer(data, np.uint8)
        load = getattr(self._library, f"{self.manifest['name']}_load_weights")
        load.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
        status = load(self._weights.ctypes.data, len(data))
        if status != 0:
            raise ToolchainError(f"the model refused its weights with status {status}")

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs for ``inputs``, both by name.

        Raises:
            InputError: a name, shape or element type does not fit; or an index is out of range.
        """
        arrays = check_inputs(self.manifest["inputs"], inputs)
        if self.manifest.get("sizes"):
            return self._run_dynamic(arrays)
        with memory_errors():
            outputs = [
                np.empty(entry["shape"], DType.parse(entry["dtype"]).numpy)
                for entry in self.manifest["outputs"]
            ]
        self._call(arrays, outputs)
        return {entry["name"]: y for entry, y in zip(self.manifest["outputs"], outputs)}

    def _call(self, arrays: Sequence[Array], outputs: Sequence[Array], *more: int) -> None:
        # Arenas are kept: the system hands out pages of fresh memory one fault at a time.
        try:
            arena = self._arenas.pop()
        except IndexError:
            with memory_errors():
                arena = _aligned(self.manifest["arena_bytes"], self.manifest["alignment"])
        with self._turn:
            status = self._run(_pointers(arrays), _pointers(outputs), arena.ctypes.data, *more)
        self._arenas.append(arena)
        check_status(status)

    def _run_dynamic(self, arrays: Sequence[Array]) -> dict[str, Array]:
        sizes = sizes_of(self.manifest, arrays)
        outputs = []
        for i, (entry, room, exact) in enumerate(
            zip(self.manifest["outputs"], self.manifest["room"], self.manifest["exact"])
        ):
            count = max(0, math.prod(self._shape("output", i, sizes))) if exact else room
            with memory_errors():
                outputs.append(np.empty(count, DType.parse(entry["dtype"]).numpy))
        self._call(arrays, outputs, sizes.ctypes.data)
        results = {}
        for i, (entry, flat) in enumerate(zip(self.manifest["outputs"], outputs)):
            shape = self._shape("output", i, sizes)
            results[entry["name"]] = flat[: math.prod(shape)].reshape(shape)
        return results

    def _shape(self, kind: str, number: int, sizes: Array) -> tuple[int, ...]:
        """What the model says of the shape of an input or output."""
        shape = np.zeros(len(self.manifest[f"{kind}s"][number]["shape"]), np.intp)
        tell = getattr(self._library, f"{self.manifest['name']}_{kind}_{number}_shape")
        tell.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        tell.restype = None
        tell(sizes.ctypes.data, shape.ctypes.data)
        return tuple(shape.tolist())


class SanitizedRunner:
    """A compiled model as a program of its own, built with sanitizers: for tests.

    Address errors and undefined behaviour end the program, which raises here.
    """

    def __init__(self, program: Path, manifest: Mapping[str, Any], weights: bytes | None) -> None:
        self.program, self.manifest, self.weights = program, manifest, weights

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs for ``inputs``, both by name.

        Raises:
            InputError: inputs do not fit the signature.
            ToolchainError: a sanitizer found something; its report is the message.
        """
        arrays = check_inputs(self.manifest["inputs"], inputs)
        with tempfile.TemporaryDirectory() as folder:
            names = []
            for i, array in enumerate(arrays):
                array.tofile(Path(folder) / f"input{i}")
                names.append(f"input{i}")
            if self.weights is not None:
                (Path(folder) / "weights").write_bytes(self.weights)
                names.append("weights")
            if self.manifest.get("sizes"):
                sizes_of(self.manifest, arrays).tofile(Path(folder) / "sizes")
                names += ["sizes", "shapes"]
            names += [f"output{i}" for i in range(len(self.manifest["outputs"]))]
            answer = subprocess.run(
                [str(self.program), *names],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},  # the driver frees nothing
            )
            found = ("ERROR: ", "runtime error", "WARNING: ThreadSanitizer")
            if any(text in answer.stderr for text in found):
                raise ToolchainError(f"sanitizer: {answer.stderr.strip()[:4000]}")
            check_status(answer.returncode)
            shapes = [entry["shape"] for entry in self.manifest["outputs"]]
            if self.manifest.get("sizes"):
                told = iter(np.fromfile(Path(folder) / "shapes", np.intp).tolist())
                shapes = [[next(told) for _ in shape] for shape in shapes]
            return {
                entry["name"]: np.fromfile(
                    Path(folder) / f"output{i}", DType.parse(entry["dtype"]).numpy
                ).reshape(shape)
                for i, (entry, shape) in enumerate(zip(self.manifest["outputs"], shapes))
            }


def check_status(status: int) -> None:
    """Raise what a status of the run function means.

    Raises:
        InputError: it is not 0.
    """
    if status != 0:
        raise InputError(f"the model stopped: {RUN_ERRORS.get(status, f'status {status}')}")


def check_inputs(
    signature: Sequence[Mapping[str, Any]], inputs: Mapping[str, Array]
) -> list[Array]:
    """The arrays of ``inputs`` in the order of the signature, contiguous.

    Raises:
        InputError: a name is missing or unknown, or a shape or element type does not fit.
    """
    inputs = named_arrays(inputs)
    wanted = [entry["name"] for entry in signature]
    problems: list[str] = []
    problems += [f'"{clip(name)}" is missing' for name in wanted if name not in inputs]
    problems += [f'there is no "{clip(name)}"' for name in inputs if name not in wanted]
    arrays: list[Array] = []
    for entry in signature:
        if entry["name"] in inputs:
            problems += _check_input(entry, inputs[entry["name"]], arrays)
    if problems:
        raise InputError(
            f"inputs do not fit: {'; '.join(problems)}",
            help="the inputs are " + ", ".join(map(_describe, signature)),
        )
    return arrays


def _check_input(entry: Mapping[str, Any], array: Array, arrays: list[Array]) -> Iterable[str]:
    dtype = DType.parse(entry["dtype"])
    if array.dtype != dtype.numpy:
        return [f'"{clip(entry["name"])}" is {array.dtype}, not {dtype.numpy}']
    if not _fits(array.shape, entry["shape"]):
        return [f'"{clip(entry["name"])}" has shape {list(array.shape)}, not {entry["shape"]}']
    arrays.append(np.ascontiguousarray(array).reshape(array.shape))
    return []


def _fits(shape: Sequence[int], declared: Sequence[int | str]) -> bool:
    """Whether a shape has the declared rank and sizes, where these are numbers."""
    return len(shape) == len(declared) and all(
        isinstance(dim, str) or size == dim for size, dim in zip(shape, declared)
    )


def sizes_of(manifest: Mapping[str, Any], arrays: Sequence[Array]) -> Array:
    """The members of the model's struct of sizes; those the run defines are 0.

    Raises:
        InputError: sizes contradict each other, are out of range, or cannot be told from shapes.
    """
    plain = {quote_symbol(entry["name"]): symbol(entry["name"]) for entry in manifest["sizes"]}

    def dim(declared: int | str) -> Dim:
        if isinstance(declared, int):
            return declared
        return plain[declared] if declared in plain else parse_dim(declared)

    bound = bind_shapes(
        {
            entry["name"]: (tuple(map(dim, entry["shape"])), array.shape)
            for entry, array in zip(manifest["inputs"], arrays)
        }
    )
    values = []
    for entry in manifest["sizes"]:
        name, size = entry["name"], bound.get(entry["name"], 0)
        if not entry["input"]:
            values.append(0)
            continue
        if name not in bound:
            raise InputError(f'no input tells the size of dimension "{clip(name)}"')
        if not entry["low"] <= size <= entry["high"]:
            raise InputError(
                f'dimension "{clip(name)}" is {size}, declared as {entry["low"]}..{entry["high"]}'
            )
        values.append(size)
    return np.array(values, np.intp)


def _describe(entry: Mapping[str, Any]) -> str:
    return f'"{clip(entry["name"])}" {entry["dtype"]}{entry["shape"]}'


def _pointers(arrays: Sequence[Array]) -> Any:
    return (ctypes.c_void_p * max(1, len(arrays)))(*(array.ctypes.data for array in arrays))


def _aligned(size: int, alignment: int) -> Array:
    memory = np.empty(size + alignment, np.uint8)
    start = -memory.ctypes.data % alignment
    return memory[start : start + size]


SHARED = ("-shared", "-fPIC")
SANITIZERS = {
    "memory": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g1", "-O1"),
    "threads": ("-fsanitize=thread", "-g1", "-O1"),
}
"""By what they watch over."""


def build(
    files: Mapping[str, str | bytes],
    manifest: Mapping[str, Any],
    target: Target,
    *,
    sanitize: bool | str = False,
) -> CRunner | SanitizedRunner:
    """Build emitted files for this machine and make them callable.

    ``sanitize`` names one of :data:`SANITIZERS`; True means "memory".

    Raises:
        ToolchainError: no compiler, or it fails.
    """
    if not target.host:
        raise ToolchainError(
            f"code for {target.name} does not run on this machine",
            help="compile for c or c:generic to run here",
        )
    name = manifest["name"]
    content = files.get(f"{name}_weights.bin")
    weights = content if isinstance(content, bytes) else None
    if manifest["options"]["weights"] != "load":
        weights = None
    relevant = {k: v for k, v in files.items() if k.startswith(name)}
    more = thread_flags(manifest["options"])
    try:
        if sanitize:
            relevant["driver_main.c"] = driver_text(manifest)
            flags = SANITIZERS["memory" if sanitize is True else sanitize]
            program = compile_files(relevant, target, "driver", (*flags, *more))
            return SanitizedRunner(program, manifest, weights)
        library = compile_files(relevant, target, f"{name}.so", (*SHARED, *more))
        try:
            return CRunner(library, manifest, weights)
        except ToolchainError:  # a broken cache entry: build it once more
            library.unlink(missing_ok=True)
            library = compile_files(relevant, target, f"{name}.so", (*SHARED, *more))
            return CRunner(library, manifest, weights)
    except Error as error:
        raise error.located(f"building {name} for {target.name}") from None

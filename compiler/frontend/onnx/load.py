"""Load a model: from a path, bytes or ``ModelProto`` to a checked :class:`LoadedModel`.

The model is parsed once; large weights stay in the file (mapped, when it is large) and become
array views.  Neither onnx's checker nor its shape inference is run: both copy the model, and
stop at two gigabytes.  A mapped model must not be overwritten in place while it is in use;
replacing it by renaming another file over it is safe.
"""

from __future__ import annotations

import mmap
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import onnx
import onnx.defs

from burnish.ir.errors import Error, ModelError, UnsupportedError, UsageError, clip

from .build import GraphReader, normal_domain, read_opsets
from .external_data import ExternalFiles
from .functions import Function, function_body, inline_functions, reserve_names
from .graph import AttributeValue, LoadedModel, NameSupply
from .structure import check_graph
from .tensors import Payloads
from .text import shown, text_of
from .wire import parse_model

ModelSource: TypeAlias = str | os.PathLike[str] | bytes | onnx.ModelProto

OLDEST_OPSET = 1
MAPPED_FROM = 64 << 20
"""Files of this many bytes are mapped; smaller ones are read, and may then change freely."""

_FIRST_IR_WITH_OPSETS = 3


class _Format(NamedTuple):
    """A kind of file that is often mistaken for an ONNX model, known by bytes at an offset."""

    offset: int
    magic: bytes
    description: str
    help: str


_CONVERT_TEXT = "convert it: onnx.save(onnx.load(file, format=...), 'model.onnx')"
_FORMATS = (
    _Format(0, b"version https://git-lfs", "a Git LFS pointer", "run: git lfs pull"),
    _Format(0, b"<!DOCTYPE", "an HTML page", "download the file itself, not the page about it"),
    _Format(0, b"<html", "an HTML page", "download the file itself, not the page about it"),
    _Format(0, b"{", "JSON text", _CONVERT_TEXT.replace("...", "'json'")),
    _Format(0, b"ir_version:", "protobuf text", _CONVERT_TEXT.replace("...", "'textproto'")),
    _Format(0, b"<?xml", "XML", "download the file itself, not the page about it"),
    _Format(0, b"<", "ONNX text", _CONVERT_TEXT.replace("...", "'onnxtxt'")),
    _Format(0, b"PK\x03\x04", "a zip archive (perhaps a PyTorch checkpoint)",
            "unpack it, or export the model with torch.onnx.export"),
    _Format(0, b"\x1f\x8b", "a gzip archive", "unpack it first"),
    _Format(0, b"\x89HDF", "an HDF5 file (perhaps Keras)", "convert it with tf2onnx"),
    _Format(4, b"TFL3", "a TensorFlow Lite model", "convert it with tf2onnx --tflite"),
    _Format(4, b"ORTM", "a model in onnxruntime's own format", "use the ONNX file it came from"),
    _Format(8, b'{"', "a safetensors file, which holds weights but no graph",
            "export the model to ONNX"),
)  # fmt: skip


def load_model(model: ModelSource) -> LoadedModel:
    """Read, check and normalize a model.

    ``model`` is a path, the bytes of a model file, or a ``ModelProto`` (which must not be
    changed while the result is in use).  See :mod:`.graph` for what the result guarantees.

    Raises:
        ModelError: the file cannot be read, is no ONNX model, or its graph is broken.
        ExternalDataError: data outside the model's folder, or a wrong offset or length.
        UnsupportedError: an operator set or IR version burnish does not know.
        UsageError: ``model`` is none of the accepted types.
    """
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        try:
            buffer = _read_file(path)
            proto = _parse(buffer)
            return _load(proto, Payloads(buffer, ExternalFiles(path.parent)), path)
        except Error as error:
            raise error.located(clip(str(path))) from None
    try:
        if isinstance(model, onnx.ModelProto):
            buffer = memoryview(b"")
            return _load(model, Payloads(buffer, ExternalFiles(None)), None)
        if isinstance(model, (bytes, bytearray, memoryview)):
            buffer = memoryview(model).cast("B").toreadonly()
            return _load(_parse(buffer), Payloads(buffer, ExternalFiles(None)), None)
    except Error as error:
        raise error.located("model") from None
    raise UsageError(f"a model is a path, bytes or onnx.ModelProto, not {type(model).__name__}")


def _read_file(path: Path) -> memoryview:
    """The bytes of a regular file: read when small, mapped when large."""
    try:
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError
            if not stat.S_ISREG(status.st_mode):
                raise ModelError("the path is no regular file")
            if status.st_size < MAPPED_FROM:
                return memoryview(file.read())
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (IsADirectoryError, PermissionError) as error:
        if not path.is_dir():
            raise ModelError(f"the file cannot be read: {error.strerror}") from None
        found = ", ".join(clip(p.name) for p in sorted(path.glob("*.onnx"))[:3])
        raise ModelError(
            "the path is a folder, not a model file",
            help=f"give the path of the .onnx file{' in it: ' if found else ''}{found}",
        ) from None
    except FileNotFoundError:
        raise ModelError("the file does not exist", help="check the path") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"the file cannot be read: {clip(str(error))}") from None


def _parse(buffer: memoryview) -> onnx.ModelProto:
    """The model in ``buffer``; failing that, an error that says what the file is instead."""
    if not buffer:
        raise ModelError(
            "the file is empty", help="the download or export may have failed; repeat it"
        )
    try:
        proto = parse_model(buffer)
    except ModelError as error:
        raise _not_a_model(buffer) or error from None
    if not proto.HasField("graph"):
        raise _not_a_model(buffer) or ModelError(
            "the file is no ONNX model: it has no graph",
            help="check that this is the .onnx file that was exported",
        )
    return proto


def _not_a_model(buffer: memoryview) -> ModelError | None:
    """What the bytes look like instead of a model, where that can be told."""
    raw = bytes(buffer[:4096])
    head = raw.lstrip(b"\xef\xbb\xbf \t\r\n")
    for known in _FORMATS:
        if (raw if known.offset else head).startswith(known.magic, known.offset):
            return ModelError(f"the file is no ONNX model: it is {known.description}",
                              help=known.help)  # fmt: skip
    if all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in head):
        return ModelError(
            "the file is no ONNX model: it is text",
            help="check that this is the .onnx file that was exported",
        )
    return None


def _load(proto: onnx.ModelProto, payloads: Payloads, path: Path | None) -> LoadedModel:
    """Check and normalize a parsed model."""
    if not proto.HasField("graph"):
        raise ModelError("the model has no graph")
    opsets = _check_versions(proto)
    reader = GraphReader(payloads, opsets)
    graph = reader.graph(proto.graph)
    if not graph.outputs:
        raise ModelError("the graph has no outputs")
    functions = _read_functions(proto.functions, payloads, opsets, reader.next_index)
    names = NameSupply()
    graph = check_graph(inline_functions(graph, functions, names))
    reserve_names(graph, names)
    producer = f"{text_of(proto.producer_name)} {text_of(proto.producer_version)}"
    return LoadedModel(
        name=path.name if path is not None else "model",
        path=path,
        ir_version=proto.ir_version,
        opsets=opsets,
        graph=graph,
        metadata={text_of(p.key): text_of(p.value) for p in proto.metadata_props},
        producer=producer.strip(),
        names=names,
    )


def _check_versions(proto: onnx.ModelProto) -> dict[str, int]:
    """Imported operator sets, when they and the IR version are known."""
    if proto.ir_version < 1:
        raise ModelError("the file is no ONNX model: it gives no IR version")
    if proto.ir_version > onnx.IR_VERSION:
        raise UnsupportedError(
            f"the model has IR version {proto.ir_version}; the installed onnx {onnx.__version__} "
            f"knows versions up to {onnx.IR_VERSION}",
            help="install a newer onnx, or save the model with a lower ir_version",
        )
    opsets = read_opsets(proto.opset_import)
    if not opsets:
        if proto.ir_version >= _FIRST_IR_WITH_OPSETS:
            raise ModelError(
                "the model imports no operator set",
                help="the file is damaged, or lacks opset_import; export it again",
            )
        opsets[""] = 1
    _check_standard_opset(opsets)
    return opsets


def _check_standard_opset(opsets: Mapping[str, int]) -> None:
    """Refuse a version of the standard operator set that burnish does not read."""
    newest = onnx.defs.onnx_opset_version()
    version = opsets.get("", newest)
    if not OLDEST_OPSET <= version <= newest:
        raise UnsupportedError(
            f"the model uses operator set {version}; burnish reads {OLDEST_OPSET} to {newest}",
            help="convert it with onnx.version_converter.convert_version"
            + (", or install a newer onnx" if version > newest else ""),
        )


def _read_functions(
    protos: Sequence[onnx.FunctionProto],
    payloads: Payloads,
    opsets: Mapping[str, int],
    first_index: int,
) -> list[Function]:
    """The model's own functions; each may import other operator sets than the model."""
    functions = []
    for proto in protos:
        try:
            imported = {**opsets, **read_opsets(proto.opset_import)}
            _check_standard_opset(imported)
            outside = GraphReader(payloads, imported)
            reader = GraphReader(payloads, imported, first_index=first_index, in_function=True)
            key = normal_domain(text_of(proto.domain)), text_of(proto.name), text_of(proto.overload)
            defaults: dict[str, AttributeValue] = {
                text_of(a.name): outside.attribute(a) for a in proto.attribute_proto
            }
            inputs, outputs = map(text_of, proto.input), map(text_of, proto.output)
            body = function_body(key[1], inputs, outputs, reader.nodes(proto.node))
            first_index = reader.next_index
            functions.append(Function(key, body, defaults, imported))
        except Error as error:
            raise error.located(f'function "{shown(proto.name)}"') from None
    return functions

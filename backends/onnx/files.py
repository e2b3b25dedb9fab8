"""The files of a model: one, or two when weights lie beside it."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from burnish.ir.errors import TargetError

MODEL_FILE = "model.onnx"
DATA_SUFFIX = ".data"
LIMIT = (1 << 31) - (1 << 24)
"""Protobuf messages hold less than 2 GiB; nodes and names need some of it."""
SMALLEST = 1 << 10
"""Bytes of the smallest tensor that is worth a place outside."""
ALIGNMENT = 1 << 12
"""Offsets are multiples of a page, so that weights can be mapped."""


def model_files(
    model: onnx.ModelProto, external: str = "auto", name: str = MODEL_FILE
) -> dict[str, bytes]:
    """The model's files by name: ``name``, and weights in ``name.data`` by option or by need.

    Tensors are moved out of ``model``.

    Raises:
        TargetError: it is to be one file, but is larger than one can be.
    """
    total = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    if external == "off" and total > LIMIT:
        raise TargetError(
            f"weights of {total} bytes do not fit one file",
            help="leave option external-data at auto",
        )
    if external == "off" or (external == "auto" and total <= LIMIT):
        return {name: model.SerializeToString(deterministic=True)}
    data_name = name + DATA_SUFFIX
    pieces: list[bytes] = []
    offset = 0
    for tensor in model.graph.initializer:
        content = tensor.raw_data
        if len(content) < SMALLEST:
            continue
        gap = -offset % ALIGNMENT
        pieces += [bytes(gap), content]
        place = {"location": data_name, "offset": offset + gap, "length": len(content)}
        offset += gap + len(content)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
    return {name: model.SerializeToString(deterministic=True), data_name: b"".join(pieces)}


def joined(files: Mapping[str, str | bytes]) -> onnx.ModelProto:
    """The model in such files, with its data."""
    (name,) = (name for name in files if not name.endswith(DATA_SUFFIX))
    model = onnx.ModelProto()
    content = files[name]
    assert isinstance(content, bytes)
    model.ParseFromString(content)
    for tensor in model.graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        place = {entry.key: entry.value for entry in tensor.external_data}
        data = files[place["location"]]
        assert isinstance(data, bytes)
        start = int(place["offset"])
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = data[start : start + int(place["length"])]
    return model

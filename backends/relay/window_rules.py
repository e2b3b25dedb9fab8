"""Types of what moves windows over spatial axes, in any of Relay's layouts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .syntax import Tensor
from .type_rules import Signature, alike, compressed_rows, require, stated


def _windows(
    s: Signature, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int]
) -> list[int]:
    """How many windows fit along each spatial axis; padding lists starts, then ends."""
    padding, count = s["padding"], len(sizes)
    require(len(padding) == 2 * count, f"{len(padding)} paddings for {count} axes")
    result = []
    for axis, size in enumerate(sizes):
        reach = (kernel[axis] - 1) * s["dilation"][axis] + 1
        room = size + padding[axis] + padding[axis + count] - reach
        require(room >= 0, f"a window of {reach} does not fit axis {axis}")
        ceil = "ceil_mode" in s.attributes and s["ceil_mode"]
        result.append(-(-room // strides[axis]) + 1 if ceil else room // strides[axis] + 1)
    return result


def _sizes(x: Tensor, layout: str) -> dict[str, int]:
    """Sizes of the axes, by their letters: NCHW8c has axes N, C, H and W."""
    axes = re.findall(r"(\d*)([A-Za-z])", layout)
    require("".join(map("".join, axes)) == layout, f"{layout} is no layout")
    require(len(axes) == x.rank, f"{x} in {layout}")
    sizes: dict[str, int] = {}
    for (factor, letter), size in zip(axes, x.shape):
        require(letter.isupper() == (not factor), f"{layout} is no layout")
        require(not factor or int(factor) == size, f"{x} in {layout}")
        sizes[letter.upper()] = sizes.get(letter.upper(), 1) * size
    return sizes


def _stored(sizes: Mapping[str, int], layout: str) -> tuple[int, ...]:
    """The shape of a tensor in a layout, from the sizes of its axes."""
    axes = re.findall(r"(\d*)([A-Za-z])", layout)
    blocks = {letter.upper(): int(factor) for factor, letter in axes if factor}
    for letter, block in blocks.items():
        require(sizes[letter] % block == 0, f"{sizes[letter]} in blocks of {block}")
    return tuple(
        int(factor) if factor else sizes[letter] // blocks.get(letter, 1) for factor, letter in axes
    )


def _spatial(layout: str) -> list[str]:
    """The letters of the spatial axes in order."""
    return [letter for letter in layout if letter in "DHW"]


def _kernel(s: Signature, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Sizes of the spatial axes of weights; those in kernel_size are the same."""
    kernel = tuple(sizes[letter] for letter in _spatial(s["kernel_layout"]))
    given = s["kernel_size"]
    require(given is None or tuple(given) == kernel, f"kernel_size {given} is not {kernel}")
    return kernel


def conv(s: Signature) -> Tensor:
    """A convolution, of NC... by OI... or in other layouts."""
    x, w = s.tensors()
    layout, groups = s["data_layout"], s["groups"]
    sizes, weights = _sizes(x, layout), _sizes(w, s["kernel_layout"])
    spatial = _spatial(layout)
    fits = len(spatial) == len(s["strides"]) and sizes.keys() == {"N", "C", *spatial}
    require(fits and weights.keys() == {"O", "I", *spatial}, f"{x} with weights {w}")
    require(alike(s) == x.dtype, "")
    inner, channels = weights["I"], weights["O"]
    require(inner * groups == sizes["C"], f"{groups} groups of {inner} channels")
    require(channels % groups == 0, f"{channels} channels in {groups} groups")
    stated(s, "channels", channels)
    out = _windows(s, [sizes[axis] for axis in spatial], _kernel(s, weights), s["strides"])
    result = {"N": sizes["N"], "C": channels, **dict(zip(spatial, out))}
    return Tensor(_stored(result, s["out_layout"] or layout), s["out_dtype"] or x.dtype)


def deconv(s: Signature) -> Tensor:
    """A transposed convolution of NC... by IO...."""
    x, w = s.tensors()
    require(x.rank == w.rank == len(s["strides"]) + 2, f"{x} with weights {w}")
    require(alike(s) == x.dtype, "")
    require(w.shape[0] == x.shape[1], f"weights of {w.shape[0]} channels for {x.shape[1]}")
    channels = w.shape[1] * s["groups"]
    stated(s, "channels", channels)
    kernel, count = w.shape[2:], x.rank - 2
    given = s["kernel_size"]
    require(given is None or tuple(given) == kernel, f"kernel_size {given} is not {kernel}")
    out = []
    for axis, size in enumerate(x.shape[2:]):
        reach = (kernel[axis] - 1) * s["dilation"][axis] + 1
        cut = s["padding"][axis] + s["padding"][axis + count]
        out.append((size - 1) * s["strides"][axis] + reach - cut + s["output_padding"][axis])
    require(all(size > 0 for size in out), f"the result has sizes {out}")
    return Tensor((x.shape[0], channels, *out), s["out_dtype"] or x.dtype)


def pool(s: Signature) -> Tensor:
    """Windows of every channel."""
    x = s.tensor()
    kernel, layout = s["pool_size"], s["layout"]
    sizes, spatial = _sizes(x, layout), _spatial(layout)
    require(len(spatial) == len(kernel), f"windows {kernel} over {x}")
    out = _windows(s, [sizes[axis] for axis in spatial], kernel, s["strides"])
    result = {**sizes, **dict(zip(spatial, out))}
    return Tensor(_stored(result, s["out_layout"] or layout), x.dtype)


def sparse_conv(s: Signature) -> Tensor:
    """The same for every element of an image; windows are of one element."""
    x, data = s.tensors()[:2]
    require(s["layout"] in ("NCHW", "NHWC"), f"no layout {s['layout']}")
    require(tuple(s["kernel_size"]) == (1, 1) and data.rank == 3, f"windows {s['kernel_size']}")
    sizes = _sizes(x, s["layout"])
    return Tensor(_stored({**sizes, "C": compressed_rows(s, sizes["C"])}, s["layout"]), x.dtype)

"""Cases of the ops of audio front ends."""

from __future__ import annotations

from op_cases import OpCase, data


def _frames() -> list[OpCase]:
    def case(note: str, shape: tuple[int, ...], length: int, step: int, dtype: str) -> OpCase:
        x = data(shape, dtype)
        return OpCase("signal.frames", note, (x,), {"length": length, "step": step})

    return [
        case("overlapping", (2, 20, 1), 8, 3, "f32"),
        case("apart", (1, 17, 2), 4, 5, "f32"),
        case("single", (3, 6), 6, 1, "i16"),
        case("every-sample", (1, 5, 1), 1, 1, "f64"),
    ]


def _transforms() -> list[OpCase]:
    def case(note: str, shape: tuple[int, ...], length: int, **more: object) -> OpCase:
        # onnxruntime's roots of unity are too inexact in f32, except for powers of two.
        dtype = str(more.pop("dtype", "f32"))
        here = bool(more.pop("here", False))  # onnxruntime refuses some, rounds 1 / length in f32
        x = data(shape, dtype)
        return OpCase("signal.dft", note, (x,), {"length": length, **more}, defined_here=here)

    return [
        case("power-of-two", (2, 16, 1), 16),
        case("complex", (2, 12, 2), 12, dtype="f64"),
        case("lines-of-five", (2, 5, 2), 5),
        case("mixed-factors", (60, 2), 60, dtype="f64"),
        case("prime", (1, 13, 1), 13, dtype="f64"),
        case("prime-factor", (1, 22, 2), 22, dtype="f64"),
        case("one-point", (3, 1, 2), 1),
        case("padded", (2, 5, 1), 8),
        case("cut", (2, 9, 2), 4),
        case("batches", (2, 3, 6, 1), 6, onesided=True, dtype="f64"),
        case("onesided-odd", (1, 9, 1), 9, onesided=True, dtype="f64"),
        case("onesided-large", (1, 400, 1), 400, onesided=True, dtype="f64"),
        case("inverse", (2, 8, 2), 8, inverse=True, dtype="f64"),
        case("inverse-real-input", (2, 8, 1), 8, inverse=True),
        case("inverse-padded", (2, 5, 2), 8, inverse=True),
        case("onesided-inverse", (2, 5, 2), 8, inverse=True, onesided=True, dtype="f64"),
        case(
            "onesided-inverse-odd",
            (1, 5, 2),
            9,
            inverse=True,
            onesided=True,
            dtype="f64",
            here=True,
        ),
        case(
            "onesided-inverse-cut",
            (1, 9, 2),
            6,
            inverse=True,
            onesided=True,
            dtype="f64",
            here=True,
        ),
        case("onesided-inverse-padded", (1, 3, 2), 16, inverse=True, onesided=True, here=True),
        case("empty-batch", (0, 8, 1), 8),
        case("f64", (1, 30, 2), 30, dtype="f64"),
        case("f16", (1, 16, 1), 16, onesided=True, dtype="f16"),
    ]


CASES = [*_frames(), *_transforms()]

from __future__ import annotations

import pytest

from burnish.ir.errors import UsageError
from burnish.requests import (
    parse_dims,
    parse_options,
    parse_size,
    shorten,
    show_count,
    show_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [(0, 0), (17, 17), ("2048", 2048), ("64K", 65536), ("64k", 65536), ("1M", 1 << 20),
     ("1.5 KiB", 1536), ("2MB", 2 << 20), ("1G", 1 << 30)],
)  # fmt: skip
def test_sizes(text: int | str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", [-1, "", "K", "-1K", "1T", "64 apples", "1e3", True, None, 1.5])
def test_wrong_sizes_are_named(text: object) -> None:
    with pytest.raises(UsageError, match="ram is "):
        parse_size(text, "ram")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (5 << 20, "5 MiB"),
     (3 << 30, "3 GiB")],
)  # fmt: skip
def test_sizes_are_shown(size: int, text: str) -> None:
    assert show_size(size) == text


def test_counts_are_shown() -> None:
    assert [show_count(n) for n in (7, 999, 12500, 3_400_000, 2 * 10**9)] == [
        "7", "999", "12.5 k", "3.4 M", "2 G",
    ]  # fmt: skip


def test_names_are_shortened_in_the_middle() -> None:
    assert shorten("short\n", 10) == "short\\n"
    assert shorten("model/block/conv_1/BiasAdd", 16) == "model…_1/BiasAdd"
    assert all(len(shorten("\n" * 5000, limit)) == limit for limit in (8, 20, 33))


def test_dims() -> None:
    bound = parse_dims(
        ["batch=1", "seq=1..512", "a=b=3", "n=2*m + 1"], ["x=1,3, 8", "scalar=", "y=32*h,w"]
    )
    assert bound == {
        "batch": 1, "seq": (1, 512), "a=b": 3, "n": "2*m + 1",
        "x": (1, 3, 8), "scalar": (), "y": ("32*h", "w"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("dims", "shapes"),
    [(["batch"], []), (["=1"], []), (["n=-1"], []), (["n=5..1"], []),
     (["n=1.."], []), (["n=32*"], []), (["n=4*2"], []), ([], ["x=1,?"]),
     ([], ["x=1,-2"]), (["x=1"], ["x=1,2"]), (["n=1", "n=2"], [])],
)  # fmt: skip
def test_wrong_dims(dims: list[str], shapes: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_dims(dims, shapes)


def test_options() -> None:
    assert parse_options(["a=1", "b=true", "c=0.5", "d=text=x", "e="]) == {
        "a": "1", "b": "true", "c": "0.5", "d": "text=x", "e": "",
    }  # fmt: skip


@pytest.mark.parametrize("texts", [["a"], ["=1"], ["a=1", "a=2"]])
def test_wrong_options(texts: list[str]) -> None:
    with pytest.raises(UsageError):
        parse_options(texts)

"""Pipeline text: what it means, that it round-trips, and what its errors say."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from burnish.ir import Module
from burnish.ir.errors import ParseError, PassError
from burnish.passes import (
    STAGES,
    Pass,
    PassContext,
    base,
    make_pass,
    parse_pipeline,
    passes,
    pipeline_text,
    standard_pipeline,
    standard_stages,
)
from burnish.passes.fuse import Fuse


@dataclass(frozen=True)
class Example(Pass):
    name = "example"
    word: str = "plain"
    number: float = 0.5
    flag: bool = False

    def run(self, module: Module, context: PassContext) -> bool:
        return False


def test_options_are_set() -> None:
    canonicalize, fuse = parse_pipeline("canonicalize, fuse{max-inputs=4}")
    assert canonicalize.name == "canonicalize"
    assert fuse == Fuse(max_inputs=4)


@pytest.mark.parametrize(
    "text",
    ["", "dce", "canonicalize,fuse{max-inputs=4,max-ops=2},dce", "fold{limit=16,growth=2.5}"],
)
def test_text_round_trips(text: str) -> None:
    parsed = parse_pipeline(text)
    assert pipeline_text(parsed) == text
    assert parse_pipeline(pipeline_text(parsed)) == parsed


def test_defaults_are_not_written() -> None:
    assert pipeline_text(parse_pipeline("fuse{max-inputs=8}")) == "fuse"


@pytest.mark.parametrize("word", ["plain", "two words", 'a"b\\c', "true", "", "inf"])
def test_any_word_round_trips(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base._PASSES, "example", Example)
    example = Example(word=word, number=float("inf"), flag=True)
    assert parse_pipeline(str(example)) == [example]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("fuse{max-inputs=}", 1, 17, 'found "}"'),
        ("fuse{max-inputs 3}", 1, 17, 'expected "="'),
        ("fuse{max-inputs=3", 1, 18, "found the end"),
        ("dce,\n  ,cse", 2, 3, 'found ",cse"'),
        ("dce cse", 1, 5, 'expected ","'),
        ("dce;cse", 1, 4, 'found ";cse"'),
        ("dce,", 1, 5, "expected a name"),
    ],
)
def test_syntax_errors_have_a_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_pipeline(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert message in caught.value.message
    assert caught.value.help


@pytest.mark.parametrize(
    ("text", "place", "message", "help_"),
    [
        ("dce,fuze", "pipeline:1:5", "no pass fuze", "did you mean fuse?"),
        ("fuse{inputs=3}", "pipeline:1:1", "no option inputs", "max-inputs, max-ops"),
        ("fuse{max-inputs=few}", "pipeline:1:1", "must be an integer", ""),
        ("fold{growth=true}", "pipeline:1:1", "must be a number", ""),
        ("fuse{max-ops=1,max-ops=2}", "pipeline:1:16", "given twice", ""),
    ],
)
def test_unknown_things_are_named(text: str, place: str, message: str, help_: str) -> None:
    with pytest.raises(PassError) as caught:
        parse_pipeline(text)
    assert caught.value.at[0] == place
    assert message in caught.value.message
    assert help_ in caught.value.help


def test_an_integer_is_a_number() -> None:
    assert str(make_pass("fold", {"growth": 2})) == "fold{growth=2.0}"


@pytest.mark.parametrize("name", passes())
def test_every_pass_is_documented(name: str) -> None:
    cls = passes()[name]
    assert cls.doc()
    assert cls.name == name
    for option in cls.options():
        assert f"{option.name}:" in cls.doc()


@pytest.mark.parametrize("backend", ["c", "tvm", "relay", "onnx", "unheard-of"])
def test_standard_pipelines_parse(backend: str) -> None:
    assert parse_pipeline(standard_pipeline(backend))
    assert set(standard_stages(backend)) <= set(STAGES)

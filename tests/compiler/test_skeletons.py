"""What `burnish passes new` writes passes its own tests, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.cli.app import main


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\naddopts = -p burnish.testing")
    return pytester


def test_a_new_pass_passes_its_tests(
    suite: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["passes", "new", "trim-ends"]) == 0
    printed = capsys.readouterr().out
    assert "trim_ends.py" in printed
    assert "pytest test_trim_ends.py" in printed
    suite.runpytest_subprocess("-q").assert_outcomes(passed=3)


def test_new_rules_withstand_their_attack(suite: pytest.Pytester) -> None:
    assert main(["passes", "new", "tidy", "--rules"]) == 0
    suite.runpytest("-q").assert_outcomes(passed=2)


def test_nothing_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_mine.py").write_text("")
    assert main(["passes", "new", "mine"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["test_mine.py"]


@pytest.mark.parametrize("name", ["Mine", "my_pass", "../x", "a--b", "cse"])
def test_names_that_cannot_be(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["passes", "new", name]) == 1
    assert "error" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

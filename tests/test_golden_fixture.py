"""The golden fixture: what it compares, what it writes, and when it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from burnish.testing import file_stem, golden_folder, unified_diff

ONE_TEST = """
def test_text(golden):
    golden({text!r})
"""


@pytest.fixture(autouse=True)
def outside_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose tests lie in tests/ and may use the fixture."""
    pytester.makeini("[pytest]\naddopts = -p burnish.testing")
    pytester.mkdir("tests")
    return pytester


def write_test(suite: pytest.Pytester, text: str, body: str = ONE_TEST) -> None:
    (suite.path / "tests" / "test_emit.py").write_text(body.format(text=text))


def stored(suite: pytest.Pytester, name: str = "test_text.ir") -> Path:
    return suite.path / "tests" / "golden" / "test_emit" / name


def test_equal_text_passes(suite: pytest.Pytester) -> None:
    write_test(suite, "a\nb\n")
    stored(suite).parent.mkdir(parents=True)
    stored(suite).write_text("a\nb\n")
    suite.runpytest().assert_outcomes(passed=1)


def test_a_mismatch_shows_the_diff_and_the_command(suite: pytest.Pytester) -> None:
    write_test(suite, "a\nnew\nc\n")
    stored(suite).parent.mkdir(parents=True)
    stored(suite).write_text("a\nold\nc\n")
    result = suite.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "golden file differs: *tests/golden/test_emit/test_text.ir",
            "--- stored test_text.ir",
            "+++ now",
            "-old",
            "+new",
            "  pytest --update-golden tests/test_emit.py::test_text",
        ]
    )
    assert stored(suite).read_text() == "a\nold\nc\n"


def test_a_missing_file_fails_with_the_command(suite: pytest.Pytester) -> None:
    write_test(suite, "a\n")
    result = suite.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["golden file is missing: *", "+a", "*pytest --update-golden *"])
    assert not stored(suite).exists()


def test_update_writes_shows_and_then_passes(suite: pytest.Pytester) -> None:
    write_test(suite, "né\n")
    result = suite.runpytest("--update-golden")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*golden files written*", "*test_emit/test_text.ir", "+né"])
    assert stored(suite).read_bytes() == "né\n".encode()
    assert [path.name for path in stored(suite).parent.iterdir()] == ["test_text.ir"]
    suite.runpytest().assert_outcomes(passed=1)


def test_an_update_without_change_leaves_the_file_alone(suite: pytest.Pytester) -> None:
    write_test(suite, "a\n")
    suite.runpytest("--update-golden")
    before = stored(suite).stat()
    result = suite.runpytest("--update-golden")
    result.stdout.no_fnmatch_line("*golden files written*")
    assert stored(suite).stat().st_mtime_ns == before.st_mtime_ns
    assert stored(suite).stat().st_ino == before.st_ino


@pytest.mark.parametrize("value", ["1", "true"])
def test_update_is_refused_in_ci(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("CI", value)
    write_test(suite, "a\n")
    result = suite.runpytest("--update-golden")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in result.errlines if line]
    assert len(lines) == 1
    assert "--update-golden is refused because CI is set" in lines[0]
    assert not stored(suite).exists()


def test_ci_may_be_switched_off(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "false")
    write_test(suite, "a\n")
    suite.runpytest("--update-golden").assert_outcomes(passed=1)


def test_several_texts_have_their_own_suffixes(suite: pytest.Pytester) -> None:
    write_test(suite, "", "def test_text(golden):\n    golden('i')\n    golden('c', suffix='.c')\n")
    suite.runpytest("--update-golden").assert_outcomes(passed=1)
    assert stored(suite).read_text() == "i\n"
    assert stored(suite, "test_text.c").read_text() == "c\n"


def test_a_suffix_used_twice_fails(suite: pytest.Pytester) -> None:
    write_test(suite, "", "def test_text(golden):\n    golden('a')\n    golden('b')\n")
    result = suite.runpytest("--update-golden")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*golden() was called twice with suffix '.ir'*"])


def test_parametrized_tests_have_their_own_files(suite: pytest.Pytester) -> None:
    body = (
        "import pytest\n"
        "@pytest.mark.parametrize('case', ['a/b', 'a b', 'ab'])\n"
        "def test_text(golden, case):\n    golden(case)\n"
    )
    write_test(suite, "", body)
    suite.runpytest("--update-golden").assert_outcomes(passed=3)
    texts = {path.read_text() for path in stored(suite).parent.iterdir()}
    assert texts == {"a/b\n", "a b\n", "ab\n"}
    result = suite.runpytest("-k", "a/b")
    result.assert_outcomes(passed=1, deselected=2)


@pytest.mark.parametrize(
    ("nodeid", "stem"),
    [
        ("tests/test_a.py::test_f", "test_f"),
        ("tests/test_a.py::TestC::test_f", "TestC.test_f"),
        ("tests/test_a.py::test_f[conv-3]", "test_f-conv-3"),
    ],
)
def test_plain_names_are_kept(nodeid: str, stem: str) -> None:
    assert file_stem(nodeid) == stem


def test_odd_names_are_safe_and_distinct() -> None:
    names = ["a/b", "a b", "a_b", "../../x", "\\", "é", "x" * 500, "x" * 501]
    stems = [file_stem(f"tests/test_a.py::test_f[{name}]") for name in names]
    assert len(set(stems)) == len(names)
    assert all(len(stem) < 120 and "/" not in stem and stem.isascii() for stem in stems)


def test_folders_mirror_the_tests() -> None:
    golden = Path("/repo/tests/golden")
    assert golden_folder(Path("/repo/tests/c/test_x.py"), golden) == golden / "c" / "test_x"
    assert golden_folder(Path("/repo/other/test_x.py"), golden) == golden / "test_x"


def test_line_ends_are_compared_and_shown() -> None:
    diff = unified_diff("a\n", "a\r\n", Path("x.ir"))
    assert "+a\\r" in diff.splitlines()


def test_a_long_diff_is_cut() -> None:
    diff = unified_diff("", "line\n" * 1000, Path("x.c"))
    assert len(diff.splitlines()) == 201
    assert diff.endswith("more lines")

"""What benchmarks write into pages of the documentation."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from burnish.bench import ENGINES


def machine(engines: Sequence[str]) -> str:
    """What was measured on, and which engines, if any."""
    name = platform.processor() or platform.machine()
    cpu = Path("/proc/cpuinfo")
    if cpu.is_file():
        lines = (line for line in cpu.read_text("utf-8").splitlines() if "model name" in line)
        name = next(lines, name).partition(":")[2].strip() or name
    versions = []
    for engine in engines:
        try:
            versions.append(f"{engine} {version(ENGINES[engine].package or engine)}")
        except PackageNotFoundError:
            versions.append(engine)
    return f"{name}; {', '.join(versions)}" if versions else name


def replace_between_marks(page: Path, name: str, lines: Sequence[str]) -> None:
    """Replace what stands in a page between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""
    start, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, found, rest = page.read_text("utf-8").partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{page} has no lines {start.strip()} and {end.strip()}")
    body = "".join(f"{line}\n" for line in lines)
    page.write_text(f"{before}{start}{body}{end}{after}", "utf-8")

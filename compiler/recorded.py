"""Outcomes of ONNX's test suite on engines that are not on every machine: TVM and Relay.

They are measured where these engines are, by the slow tests, which write them down and afterwards
check that they still hold.  Where an engine is absent its record stands as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .conformance import MISMATCH, PASSED, REFUSED, Outcome
from .onnx_backend import RELAY, TVM

RECORDS = Path(__file__).parent / "recorded"
"""A file of JSON for each engine."""


@dataclass(frozen=True)
class Record:
    """What became of all cases of the suite on an engine.

    Attributes:
        engine: its name in :mod:`.onnx_backend`.
        measured_with: distribution and version of what ran the cases.
        onnx: the version of the onnx package, whose suite it was.
        refused, wrong: reasons by case; all other cases passed.
    """

    engine: str
    measured_with: str
    onnx: str
    refused: Mapping[str, str]
    wrong: Mapping[str, str]

    def outcomes(self, cases: Iterable[str]) -> dict[str, Outcome]:
        """What became of ``cases``, by name."""
        found = {}
        for case in cases:
            status = REFUSED if case in self.refused else PASSED
            status = MISMATCH if case in self.wrong else status
            reason = self.refused.get(case) or self.wrong.get(case)
            found[case] = Outcome(case, status, (("", reason),) if reason else ())
        return found

    def text(self) -> str:
        """The content of the record's file."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def record_path(engine: str) -> Path:
    """Where the record of an engine is."""
    return RECORDS / f"{engine}.json"


def read_record(engine: str) -> Record:
    """The record of an engine."""
    return Record(**json.loads(record_path(engine).read_text("utf-8")))


def load_records() -> tuple[Record, ...]:
    """All records."""
    return tuple(map(read_record, (TVM, RELAY)))

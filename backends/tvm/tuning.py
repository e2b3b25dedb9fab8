"""Schedules for the functions that TVM generates code for, found by trying them on this machine.

Schedules are tried in a process of its own (``tuner.py``): what TVM does to it, such as end it by a
segmentation fault, costs the function at work its tuning, and nothing else.
"""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from burnish.ir.errors import ToolchainError, clip

from ..base import Notify
from .package import named_like, tvm_package
from .records import Record, record_key, remember, remembered

TUNER = Path(__file__).with_name("tuner.py")

SILENCE = 60.0
"""After so many seconds without an answer, the tuner is ended; it answers after each trial."""

SEED = 1


@dataclass(frozen=True)
class Machine:
    """What schedules are made for: ``target`` and ``host`` as TVM describes them, and a device."""

    target: Mapping[str, Any]
    device: str = "cpu"
    host: str | None = None


@dataclass(frozen=True)
class Function:
    """A function of a Relax module that may be tuned: its name, its text and its untuned text."""

    name: str
    text: str
    untuned: str


@dataclass
class Tuning:
    """Tries schedules, or remembers what was tried.

    Attributes:
        machine: what is tuned for.
        trials: how many schedules are tried for each function.
        notify: told how far it is.
        notes: what there is to say about it, for the report.
        untuned: gives a function the schedule that it has without tuning.
    """

    machine: Machine
    trials: int
    notify: Notify
    untuned: Callable[[Any], Any] = lambda function: function
    notes: list[str] = field(default_factory=list)
    _failures: dict[str, str] = field(default_factory=dict)

    def apply(self, module: Any) -> tuple[Any, frozenset[str]]:
        """A module of fused functions, some with schedules that were found; the names of these.

        Raises:
            ToolchainError: the cache folder cannot be written.
        """
        tvm = tvm_package()
        functions = {
            variable.name_hint: (variable, function)
            for variable, function in module.functions_items()
            if isinstance(function, tvm.tirx.PrimFunc)
        }
        asked = [self._asked(name, function) for name, (_, function) in functions.items()]
        known = self._records([function for function in asked if function is not None])
        used = {}
        for name, record in known.items():
            variable, function = functions[name]
            tuned = self._scheduled(function, record)
            if tuned is not None:
                module[variable] = tuned
                used[name] = record
            else:
                better = record.trace is not None
                self._failures[name] = (
                    "what was found does not fit it" if better else "none that was tried is faster"
                )
        self._report(len(functions), used)
        return module, frozenset(used)

    def _asked(self, name: str, function: Any) -> Function | None:
        """A function as text; None if it cannot be tuned."""
        tvm = tvm_package()
        if any(not all(_is_number(n) for n in getattr(p, "shape", [p])) for p in function.params):
            self._failures[name] = "its sizes are not known"
            return None
        text, untuned = (
            tvm.IRModule({"main": f.with_attr("global_symbol", "main")}).script()
            for f in (function, self.untuned(function))
        )
        return Function(name, text, untuned)

    def _records(self, asked: Sequence[Function]) -> dict[str, Record]:
        """Records by name, from earlier compilations or from trials; equal functions share one."""
        keys = {function.name: record_key(function.text, self.machine.target) for function in asked}
        found: dict[str, Record] = {}
        missing: dict[str, Function] = {}
        for function in asked:
            key = keys[function.name]
            record = remembered(key, self.trials)
            if record is not None:
                found[key] = record
            else:
                missing.setdefault(key, function)
        by_name = {function.name: key for key, function in missing.items()}
        for name, record in self._tried(list(missing.values())):
            found[by_name[name]] = record
            remember(by_name[name], record)
        return {name: found[key] for name, key in keys.items() if key in found}

    def _tried(self, asked: Sequence[Function]) -> Iterator[tuple[str, Record]]:
        """Records of functions as they are found.

        A tuner that dies is replaced; the function at work has what was found until then.
        """
        left = list(asked)
        while left:
            begun = ""
            best: Record | None = None
            tuner = _Tuner(self._request(left))
            for answer in tuner.answers():
                name, kind = answer["name"], answer["kind"]
                if kind == "start":
                    begun, best = name, None
                elif kind == "trial":
                    done = len(asked) - len(left) + answer["done"] / self.trials
                    told = f"tune: {name}, trial {answer['done']} of {self.trials}"
                    self.notify(told, 0.8 + 0.1 * done / len(asked))
                    best = self._record(answer)
                elif kind == "error":
                    self._failures[name] = answer["reason"]
                else:
                    yield name, self._record(answer)
                if kind in ("error", "done"):
                    left = [function for function in left if function.name != name]
                    begun = ""
            if not left:
                return
            died = tuner.end()
            if not begun:  # it did not come as far as the first function
                self._failures.update({function.name: died for function in left})
                return
            if best is not None and best.trace is not None:
                yield begun, best
            else:
                self._failures[begun] = died
            left = [function for function in left if function.name != begun]

    def _record(self, answer: Mapping[str, Any]) -> Record:
        return Record(answer["trace"], answer["seconds"], answer["untuned"], self.trials)

    def _request(self, functions: Sequence[Function]) -> str:
        asked = [
            {"name": f.name, "text": f.text, "untuned": f.untuned, "trials": self.trials}
            for f in functions
        ]
        machine = self.machine
        request = {"target": dict(machine.target), "host": machine.host, "device": machine.device}
        return json.dumps({**request, "seed": SEED, "functions": asked})

    def _scheduled(self, function: Any, record: Record) -> Any:
        """A function with the schedule of a record; None if it has none, or it does not fit."""
        if record.trace is None:
            return None
        tvm = tvm_package()
        schedules = tvm.s_tir.schedule
        alone = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
        schedule = schedules.Schedule(alone, debug_mask="none")
        try:
            schedules.Trace.apply_json_to_schedule(record.trace, schedule)
        except (RuntimeError, ValueError, TypeError):
            return None
        return named_like(schedule.mod["main"], function)

    def _report(self, functions: int, used: Mapping[str, Record]) -> None:
        """Say what became of it."""
        if not functions:
            self.notes.append("tune: TVM generates no code for this model; there was none to tune")
            return
        before = 1e6 * sum(record.untuned for record in used.values())
        after = 1e6 * sum(record.seconds for record in used.values())
        took = f", which take {after:.4g} us instead of {before:.4g}" if used else ""
        self.notes.append(f"tune: schedules for {len(used)} of {functions} functions{took}")
        for name, reason in sorted(self._failures.items()):
            self.notes.append(f"tune: {name} keeps its schedule: {clip(reason)}")


def _is_number(size: Any) -> bool:
    return isinstance(size, int) or hasattr(size, "value")


class _Tuner:
    """The process, and what it answers."""

    def __init__(self, request: str) -> None:
        self._log: IO[str] = tempfile.TemporaryFile(  # noqa: SIM115 - it closes with the object
            "w+", encoding="utf-8", errors="replace"
        )
        try:
            self._process = subprocess.Popen(
                [sys.executable, str(TUNER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=self._log, text=True, encoding="utf-8",
            )  # fmt: skip
        except OSError as error:
            raise ToolchainError(f"the tuner cannot be started: {error.strerror}") from None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._silent = False
        threading.Thread(target=self._talk, args=(request,), daemon=True).start()

    def _talk(self, request: str) -> None:
        """Hand over the request, and queue the answers, None behind the last."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(request)
            self._process.stdin.close()
            for line in self._process.stdout:
                self._lines.put(line)
        except (OSError, ValueError):  # it ended early
            pass
        finally:
            self._lines.put(None)

    def answers(self) -> Iterator[dict[str, Any]]:
        """Answers until there are no more; the process has ended then."""
        try:
            while True:
                line = self._lines.get(timeout=SILENCE)
                if line is None:
                    return
                yield json.loads(line)
        except queue.Empty:
            self._silent = True
        except ValueError:  # half a line, of a process that died
            return
        finally:
            if self._process.poll() is None and (self._silent or sys.exc_info()[0] is not None):
                self._process.kill()
            self._process.wait()

    def end(self) -> str:
        """How the process ended, for people."""
        if self._silent:
            return f"the tuner said nothing for {SILENCE:g} s"
        status = self._process.returncode
        if status < 0:
            return f"the tuner was ended by {signal.Signals(-status).name}"
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().splitlines() if line.strip()]
        last = f": {lines[-1]}" if lines else ""
        return f"the tuner ended with status {status}{last}"

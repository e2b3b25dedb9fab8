"""Builds and runs Relay modules for another process; run by an interpreter that has TVM.

Knows nothing of burnish.  Every line of standard input is a request, in JSON, and is answered by
one line: ``{"do": "build", "text": PATH, "params": NPZ, "executor": "graph", "composite": false,
"target": "llvm"}`` gives an ``id``; ``{"do": "run", "id": ID, "inputs": NPZ, "outputs": NPZ}`` runs
it, and ``{"do": "drop", "id": ID}`` forgets it.
"""

import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TVM_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOPHUB_LOCATION", "NONE")
for name in ("te_compiler", "autotvm", "strategy"):
    logging.getLogger(name).setLevel(logging.ERROR)

# Whatever TVM prints must not mix with the answers: it goes to a file.
ANSWERS = os.fdopen(os.dup(1), "w")
DESCRIPTOR, PATH = tempfile.mkstemp()
Path(PATH).unlink()
PRINTED = os.fdopen(DESCRIPTOR, "r+b")
os.dup2(PRINTED.fileno(), 1)
os.dup2(PRINTED.fileno(), 2)

import tvm  # noqa: E402
from tvm import relay  # noqa: E402

Request = dict[str, Any]
Run = Callable[[Request], list[Any]]
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
NOISE = re.compile(r"^\s*\d+: |^Stack trace|^Traceback|^\s*File |^-{20,}|^\s*$")
MODELS: dict[int, Run] = {}


class Failure(Exception):
    """A stage that failed, and what TVM said."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage


def printed() -> str:
    """What was printed since the last time."""
    sys.stdout.flush()
    sys.stderr.flush()
    PRINTED.seek(0)
    text = PRINTED.read().decode("utf-8", "replace")
    PRINTED.seek(0)
    PRINTED.truncate()
    return ESCAPES.sub("", text)


def staged(stage: str, function: Callable[[], Any]) -> Any:
    """What the function gives; its failure under the name of the stage."""
    printed()
    try:
        return function()
    except Exception as error:
        said = [line for line in str(error).splitlines() if not NOISE.search(line)]
        raise Failure(stage, "\n".join([*said, printed().strip()])[-1500:]) from None


def build(request: Request) -> Request:
    """A module ready to run, from its text and parameters."""
    text = Path(request["text"]).read_text()
    with np.load(request["params"], allow_pickle=False) as archive:
        params = {name: tvm.nd.array(archive[name]) for name in archive.files}
    parse = getattr(relay, "fromtext", None) or tvm.parser.fromtext
    module = staged("parse", lambda: parse(text))
    module = staged("type", lambda: relay.transform.InferType()(module))
    if request["composite"]:
        module = staged("inline", lambda: relay.transform.DefuseOps()(module))
    target, kind = request["target"], request["executor"]
    run = staged("build", lambda: executor(module, params, target, kind))
    number = max(MODELS, default=0) + 1
    MODELS[number] = run
    return {"id": number}


def executor(module: Any, params: Request, target: str, kind: str) -> Run:
    """A function from inputs by name to the list of outputs."""
    with tvm.transform.PassContext(opt_level=3):
        if kind == "vm":
            executable = relay.vm.compile(module, target=target, params=params)
        else:
            library = relay.build(module, target=target, params=params)
    if kind == "vm":
        from tvm.runtime.vm import VirtualMachine

        machine = VirtualMachine(executable, tvm.cpu())
        return lambda inputs: flat(machine.invoke("main", **inputs))
    from tvm.contrib import graph_executor

    graph = graph_executor.GraphModule(library["default"](tvm.cpu()))

    def run(inputs: Request) -> list[Any]:
        graph.run(**inputs)
        return [graph.get_output(index).numpy() for index in range(graph.get_num_outputs())]

    return run


def flat(value: Any) -> list[Any]:
    """The arrays in a value of the virtual machine."""
    if isinstance(value, tvm.nd.NDArray):
        return [value.numpy()]
    return [array for field in value for array in flat(field)]


def run(request: Request) -> Request:
    """Outputs of a module, written to a file."""
    with np.load(request["inputs"], allow_pickle=False) as archive:
        inputs = {name: archive[name] for name in archive.files}
    results = staged("run", lambda: MODELS[request["id"]](inputs))
    np.savez(request["outputs"], **{f"out{i}": array for i, array in enumerate(results)})
    return {}


def drop(request: Request) -> Request:
    """Forgets a module."""
    del MODELS[request["id"]]
    return {}


def main() -> None:
    """Answers requests until there are no more."""
    actions = {"build": build, "run": run, "drop": drop}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"ok": True, **actions[request["do"]](request)}
        except Failure as failure:
            answer = {"ok": False, "stage": failure.stage, "error": str(failure)}
        ANSWERS.write(json.dumps(answer) + "\n")
        ANSWERS.flush()


if __name__ == "__main__":
    main()

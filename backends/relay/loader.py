"""The script that users of TVM start from: text and parameters to a module that runs."""

from __future__ import annotations

TEXT_FILE = "model.relay"
NPZ_FILE = "params.npz"
PARAMETERS_FILE = "model.params"
LOADER_FILE = "load_model.py"

_BEGINNING = f'''\
"""Builds the model with TVM up to 0.19: python {LOADER_FILE} [TARGET]"""
import sys
from pathlib import Path
import tvm
from tvm import relay
'''

_READING = f"""\
here, target = Path(__file__).parent, sys.argv[1] if len(sys.argv) > 1 else "llvm"
parse = getattr(relay, "fromtext", None) or tvm.parser.fromtext
params = relay.load_param_dict((here / "{PARAMETERS_FILE}").read_bytes())
module = parse((here / "{TEXT_FILE}").read_text())
"""

_INLINING = """\
# Annotate and partition for code generators here; what none of them takes, TVM gets without names.
module = relay.transform.DefuseOps()(module)
"""

_IMPORTS = {
    "graph": "from tvm.contrib import graph_executor\n",
    "vm": "from tvm.runtime.vm import VirtualMachine\n",
}

_BUILDING = {
    "graph": """\
with tvm.transform.PassContext(opt_level=3):
    library = relay.build(module, target, params=params)
model = graph_executor.GraphModule(library["default"](tvm.device(target.split()[0])))
""",
    "vm": """\
with tvm.transform.PassContext(opt_level=3):
    executable = relay.vm.compile(module, target, params=params)
model = VirtualMachine(executable, tvm.device(target.split()[0]))
""",
}


def loader_script(executor: str, *, composite: bool) -> str:
    """The script for an executor: ``graph``, or ``vm`` for models with branches.

    The graph executor takes no functions but primitive ones, so that composite ones are inlined.
    """
    inlining = _INLINING if composite else ""
    return "".join((_BEGINNING, _IMPORTS[executor], _READING, inlining, _BUILDING[executor]))

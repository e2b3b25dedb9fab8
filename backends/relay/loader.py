"""The script that users of TVM start from: text and parameters to a module that runs."""

from __future__ import annotations

TEXT_FILE = "model.relay"
NPZ_FILE = "params.npz"
PARAMETERS_FILE = "model.params"
LOADER_FILE = "load_model.py"

LOADER = f'''\
"""Builds the model with TVM up to 0.19: python {LOADER_FILE} [TARGET]"""
import sys
from pathlib import Path
import tvm
from tvm import relay
from tvm.contrib import graph_executor
here, target = Path(__file__).parent, sys.argv[1] if len(sys.argv) > 1 else "llvm"
parse = getattr(relay, "fromtext", None) or tvm.parser.fromtext
params = relay.load_param_dict((here / "{PARAMETERS_FILE}").read_bytes())
with tvm.transform.PassContext(opt_level=3):
    library = relay.build(parse((here / "{TEXT_FILE}").read_text()), target, params=params)
model = graph_executor.GraphModule(library["default"](tvm.device(target.split()[0])))
'''

VM_LOADER = f'''\
"""Builds the model with TVM up to 0.19: python {LOADER_FILE} [TARGET]"""
import sys
from pathlib import Path
import tvm
from tvm import relay
from tvm.runtime.vm import VirtualMachine
here, target = Path(__file__).parent, sys.argv[1] if len(sys.argv) > 1 else "llvm"
parse = getattr(relay, "fromtext", None) or tvm.parser.fromtext
params = relay.load_param_dict((here / "{PARAMETERS_FILE}").read_bytes())
with tvm.transform.PassContext(opt_level=3):
    executable = relay.vm.compile(parse((here / "{TEXT_FILE}").read_text()), target, params=params)
model = VirtualMachine(executable, tvm.device(target.split()[0]))
'''
"""The same for models with branches, which the graph executor does not take."""

"""ONNX frontend: a path, bytes or ``ModelProto`` in, a module of the graph IR out.

Nothing below trusts the model.  :mod:`.load` reads and checks the file, :mod:`.wire` keeps large
weights where they lie, :mod:`.external_data` opens only what lies in the model's folder,
:mod:`.tensors` maps payloads, :mod:`.build` turns the proto into :mod:`.graph`'s plain objects,
:mod:`.functions` inlines functions, and :mod:`.structure` sorts the graph and checks its names.
:mod:`.importer` converts the nodes by the functions registered in :mod:`.convert`.
"""

from .importer import Unsupported, UnsupportedModelError, check, import_onnx

__all__ = ["Unsupported", "UnsupportedModelError", "check", "import_onnx"]

"""Random graphs, run by everything that can run them, and compared.

``maker`` grows random well-typed modules out of the makers in ``makers_*`` (one per op);
``onnx_graphs`` does the same for ONNX.  ``batch`` compiles many modules into one library and runs
them in a process of its own; ``agreement`` says when two results are the same; ``shrink`` makes a
failure small; ``campaign`` puts these together.
"""

from . import makers_elementwise, makers_nn, makers_other, makers_tensor

__all__ = ["makers_elementwise", "makers_nn", "makers_other", "makers_tensor"]

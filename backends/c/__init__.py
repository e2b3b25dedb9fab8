"""The C backend: select kernels, plan memory, emit C99."""

"""The TVM backend: Relax modules for today's apache-tvm."""

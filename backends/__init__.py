"""Backends: what turns optimized IR into something that runs."""

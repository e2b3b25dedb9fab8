"""Frontends: what reads a model of another format into the graph IR."""

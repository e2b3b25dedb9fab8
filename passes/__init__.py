"""Passes: graph to graph rewrites on burnish.ir."""

"""Graphs that others have exported: what a checkpoint says of them, so that they can be served as they are."""

"""Detectors: networks, targets and figures."""

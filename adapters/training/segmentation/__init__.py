"""Segmenters: networks, targets and figures."""

"""Classifiers of sounds."""

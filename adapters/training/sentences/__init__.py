"""Texts, alone or in pairs, that are answered as a whole: labels, a number, a vector."""

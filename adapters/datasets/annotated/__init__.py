"""Rows whose texts carry marks: entities by words or by characters, and the answers to questions."""

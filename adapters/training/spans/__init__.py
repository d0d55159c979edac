"""Texts of which stretches are found: entities and answers. Windows, heads on tokens, figures."""

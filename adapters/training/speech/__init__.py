"""Recognisers of speech: what they learn from and how they are judged."""

"""Text-to-text models: their tokenizers and rules, how they are served, and how they are adapted to pairs."""

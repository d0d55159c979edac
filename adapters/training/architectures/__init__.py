"""Networks that transformers lacks: one network, one file. Parameter names are those of the checkpoints they read."""

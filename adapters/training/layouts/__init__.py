"""How checkpoints of picture networks lie on disk: one layout, one file, all read into the same parts."""

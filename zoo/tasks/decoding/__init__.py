"""Search over the outputs of a model: with a decoder and its key/value cache, or along a row of classes (CTC)."""

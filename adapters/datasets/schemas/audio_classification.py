"""Audio classification: a clip and its label."""

from __future__ import annotations

from adapters.datasets.schema import Role, Schema

SCHEMA = Schema(
    task="audio-classification",
    needs="a zip of audio with a folder for each class, or with metadata.csv that has file_name and label",
    layouts=("folders", "metadata"),
    medium="audio",
    annotation="label",
    roles=(
        Role(
            name="audio",
            kind="file",
            names=("file_name", "filename", "file", "audio", "audio_path", "path", "clip", "wav", "wav_filename"),
        ),
        Role(
            name="label",
            kind="category",
            names=("label", "labels", "class", "class_name", "category", "target", "tag", "y", "emotion", "command"),
        ),
    ),
)

"""Speech recognition: a clip and what is said in it."""

from __future__ import annotations

from adapters.datasets.schema import Role, Schema

SCHEMA = Schema(
    task="automatic-speech-recognition",
    needs="a zip of audio with metadata.csv that has file_name and text",
    layouts=("transcripts",),
    medium="audio",
    annotation="transcript",
    roles=(
        Role(
            name="audio",
            kind="file",
            names=("file_name", "filename", "file", "audio", "audio_path", "path", "clip", "wav", "wav_filename"),
        ),
        Role(
            name="text",
            kind="text",
            names=("text", "transcript", "transcription", "sentence", "utterance", "normalized_text", "words"),
        ),
    ),
)

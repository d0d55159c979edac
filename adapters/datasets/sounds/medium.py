"""How data sets of audio are read: their layouts, what they carry, and how a clip is measured."""

from __future__ import annotations

from collections import Counter

from adapters.datasets.media import folders
from adapters.datasets.media.kind import Kind
from adapters.datasets.media.medium import Medium
from adapters.datasets.media.survey import Look
from adapters.datasets.sounds import listed
from adapters.datasets.sounds.fact import ClipFact, clip_figures, measure_clip
from adapters.datasets.sounds.labelled import ClipLabelJudge
from adapters.datasets.sounds.screen import CUT
from adapters.datasets.sounds.transcribed import TranscriptJudge

KIND = Kind(
    role="audio",
    one="clip",
    many="clips",
    verb="hold",
    # formats that are not read count as clips too, so that each of them is named as unreadable
    suffixes=frozenset(
        "wav wave flac ogg oga opus mp3 mpga mpeg m4a mp4 aac wma aif aiff aifc au snd caf amr webm sph".split()
    ),
    beside=("audio", "clips", "wavs", "wav", "sounds"),
    repair="Save it again as WAV, FLAC, OGG or MP3, or delete it.",
    repairs={"audio_too_long": CUT, "damaged_entry": "Pack the zip again."},
)


def _hint(suffixes: Counter[str]) -> str:
    if suffixes.keys() & {"csv", "tsv", "txt", "jsonl", "json"}:
        return " Its list is read as metadata.csv or metadata.jsonl with the columns file_name and label, or text."
    return ""


MEDIUM = Medium(
    kind=KIND,
    layouts=(listed.find, folders.find),
    judges={"label": ClipLabelJudge, "transcript": TranscriptJudge},
    looks={"audio": Look(ClipFact, measure_clip)},
    figures=clip_figures,
    hint=_hint,
)

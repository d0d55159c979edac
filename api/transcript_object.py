"""A transcript in OpenAI's forms."""

from __future__ import annotations

import math
from typing import Any

from api.languages import name_of
from api.schemas import TranscriptionRequest
from zoo.tasks.decoding.transcript import Segment, Transcript

SEEK = 100  # frames of 10 ms in a second


def usage_object(transcript: Transcript) -> dict[str, Any]:
    """What was asked for, in whole seconds that were begun."""
    return {"type": "duration", "seconds": math.ceil(transcript.seconds)}


def transcription_object(transcript: Transcript) -> dict[str, Any]:
    """``json``: the text alone."""
    return {"text": transcript.text, "usage": usage_object(transcript)}


def verbose_object(transcript: Transcript, asked: TranscriptionRequest, *, translated: bool) -> dict[str, Any]:
    """``verbose_json``: with segments unless only words were asked for, and with words if they were."""
    wanted = asked.timestamp_granularities or ("segment",)
    answer: dict[str, Any] = {
        "task": "translate" if translated else "transcribe",
        "language": "english" if translated else name_of(transcript.language),
        "duration": round(transcript.seconds, 2),
        "text": transcript.text,
    }
    if "segment" in wanted:
        answer["segments"] = [_segment_object(number, one) for number, one in enumerate(transcript.segments)]
    if "word" in wanted:
        answer["words"] = [
            {"word": word.text.strip(), "start": round(word.start, 2), "end": round(word.end, 2)}
            for word in transcript.words
        ]
    return answer | {"usage": usage_object(transcript)}


def _segment_object(number: int, segment: Segment) -> dict[str, Any]:
    spoken = segment.spoken
    return {
        "id": number,
        "seek": round(segment.window * SEEK),
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": spoken.temperature,
        "avg_logprob": round(spoken.mean, 4),
        "compression_ratio": round(spoken.compression, 4),
        "no_speech_prob": round(spoken.no_speech, 4),
    }

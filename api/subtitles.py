"""Subtitles: segments of a transcript as SubRip (srt) and as WebVTT (vtt)."""

from __future__ import annotations

from collections.abc import Iterable

from zoo.tasks.decoding.transcript import Segment

SHORTEST = 0.02  # seconds; players drop, and WebVTT forbids, what ends when it starts


def srt(segments: Iterable[Segment]) -> str:
    """Numbered blocks with times as ``00:00:01,500``; empty where nothing was said."""
    blocks = [
        f"{number}\n{_times(segment, ',')}\n{_line(segment)}\n" for number, segment in enumerate(_said(segments), 1)
    ]
    return "\n".join(blocks)


def vtt(segments: Iterable[Segment]) -> str:
    """``WEBVTT`` and blocks with times as ``00:00:01.500``; characters that WebVTT reads as marks are escaped."""
    blocks = [f"{_times(segment, '.')}\n{_escaped(_line(segment))}\n" for segment in _said(segments)]
    return "\n".join(["WEBVTT\n", *blocks])


def _said(segments: Iterable[Segment]) -> list[Segment]:
    return [segment for segment in segments if segment.text.strip()]


def _line(segment: Segment) -> str:
    """On one line: an empty one would end the block, and an arrow be read as times."""
    return " ".join(segment.text.split()).replace("-->", "->")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _times(segment: Segment, point: str) -> str:
    end = max(segment.end, segment.start + SHORTEST)
    return f"{_time(segment.start, point)} --> {_time(end, point)}"


def _time(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{milliseconds:03d}"

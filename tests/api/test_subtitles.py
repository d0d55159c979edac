"""Subtitles as players read them."""

from __future__ import annotations

from api.subtitles import srt, vtt
from zoo.tasks.decoding.transcript import Segment, Spoken

SPOKEN = Spoken((1,), -0.2, 1.1, 0.0, 0.0, silent=False)


def said(text: str, start: float, end: float) -> Segment:
    return Segment(text, start, end, (1,), SPOKEN)


TALK = [said(" Good morning.", 0.0, 1.5), said(" Where is it?", 3599.98, 3725.125)]


def test_srt_numbers_its_blocks_and_writes_a_comma() -> None:
    assert srt(TALK) == (
        "1\n00:00:00,000 --> 00:00:01,500\nGood morning.\n\n2\n00:59:59,980 --> 01:02:05,125\nWhere is it?\n"
    )


def test_vtt_has_its_head_and_writes_a_point() -> None:
    assert vtt(TALK) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nGood morning.\n\n00:59:59.980 --> 01:02:05.125\nWhere is it?\n"
    )


def test_where_nothing_was_said_there_is_no_block() -> None:
    silence = [said("  ", 0.0, 1.0)]
    assert (srt(silence), vtt(silence)) == ("", "WEBVTT\n")


def test_text_cannot_end_a_block_or_look_like_times_or_marks() -> None:
    odd = [said("a\n\n2\n--> <i>b & c", 0.0, 1.0)]
    assert srt(odd).splitlines()[2:] == ["a 2 -> <i>b & c"]
    assert vtt(odd).splitlines()[3:] == ["a 2 -&gt; &lt;i&gt;b &amp; c"]


def test_what_ends_when_it_starts_is_shown_for_a_moment() -> None:
    assert srt([said("Hm.", 59.999, 59.999)]).splitlines()[1] == "00:00:59,999 --> 00:01:00,019"

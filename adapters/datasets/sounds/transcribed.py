"""A transcript for a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from adapters.datasets.archives import shown
from adapters.datasets.example import Example
from adapters.datasets.fold import fold
from adapters.datasets.media.judge import Case, Clash
from adapters.datasets.media.layout import Candidate
from adapters.datasets.problems import fault
from adapters.datasets.sounds.fact import clip_fact
from adapters.datasets.sounds.screen import Screen
from adapters.datasets.sounds.speech import Odd, Spoken, odd_ones, transcripts_of

MOST_SECONDS = 30.0  # what a recogniser hears at once
MAX_NAMED = 20


class TranscriptJudge:
    """Judges clips that each have a transcript."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._screen = Screen(case, most_seconds=MOST_SECONDS)
        self._spoken: list[Spoken] = []

    def admit(self, candidate: Candidate) -> Example | None:
        """None for a clip that nothing can be learnt from, or with a transcript that nobody can say."""
        if not self._screen.passes(candidate):
            return None
        if not any(character.isalnum() for character in candidate.values["text"]):
            message = f"{shown(candidate.file)}: its transcript has neither letters nor digits; it is left out."
            fix = "Write down what is said, or delete the row."
            self._case.search.note(
                "error", "transcript_without_letters", message, fix, file=candidate.file, row=candidate.row
            )
            return None
        return self._case.example(candidate)

    def clash(self, same: Sequence[Example]) -> Clash | None:
        """Two transcripts that differ in more than case and punctuation."""
        if len({fold(example.values["text"]) for example in same}) < 2:
            return None
        fix = "Listen to it, and delete the rows that are wrong."
        return Clash("conflicting_transcripts", "different transcripts", fix)

    def settle(self, examples: list[Example]) -> list[Example]:
        """The examples; where most sentences differ, those of one sentence are kept together.

        Where few commands or words are said over and over, each of them has to be on both sides of a split.
        """
        self._screen.close()
        for example in examples:
            name = example.files["audio"].name
            self._spoken.append(Spoken(name, example.values["text"], clip_fact(self._case.survey, name)))
        sentences = [fold(clip.text) for clip in self._spoken]
        distinct = len(set(sentences))
        if len(examples) > 1 and distinct == 1:
            message = f"All {len(examples):,} clips that can be used have the same transcript."
            raise fault("one_transcript", message, "Check which column holds the transcripts, or choose it.")
        odd = odd_ones(self._spoken)
        for each in odd[:MAX_NAMED]:
            message = f"{shown(each.file)}: {_said(each)}; it is used as it is."
            fix = "Listen to it and compare."
            self._case.search.note("warning", "speech_rate", message, fix, file=each.file)
        if (more := len(odd) - MAX_NAMED) > 0:
            message = f"{more:,} more clips are far faster or slower than the others by their transcripts."
            self._case.search.note("warning", "speech_rate", message, "Listen to them and compare.", count=more)
        if 2 * distinct < len(examples):
            return examples
        return [replace(example, together=said) for example, said in zip(examples, sentences, strict=True)]

    def figures(self) -> dict[str, object]:
        """Vocabulary, letters, and how fast is spoken."""
        return transcripts_of(self._spoken) if self._spoken else {}


def _said(odd: Odd) -> str:
    speed = f"{odd.factor:.1f} times as fast as" if odd.factor > 1 else f"{1 / odd.factor:.1f} times slower than"
    said = f"by its transcript it is spoken {speed} the others"
    if odd.fitting:
        return f"{said}, as if its header's {odd.rate} Hz were in truth {odd.fitting}"
    return f"{said}: the transcript may be that of another clip"

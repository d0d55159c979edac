"""One label for a clip."""

from __future__ import annotations

from collections import Counter, defaultdict

from adapters.datasets.example import Example
from adapters.datasets.media.judge import Case
from adapters.datasets.media.labels import LabelJudge
from adapters.datasets.media.layout import Candidate
from adapters.datasets.report import ClassCount
from adapters.datasets.sounds.fact import MOST_SECONDS, ClipFact, clip_fact
from adapters.datasets.sounds.screen import SILENT, Screen


class ClipLabelJudge(LabelJudge):
    """Judges clips that each have one label. A class most of whose clips are silent is one of silence, and stays."""

    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self._screen = Screen(case, most_seconds=MOST_SECONDS)
        self._seconds: defaultdict[str, float] = defaultdict(float)
        facts = [(each.values["label"], case.fact(each)) for each in case.layout.candidates]
        sound = [(label, fact) for label, fact in facts if isinstance(fact, ClipFact) and fact.fault is None]
        silent = Counter(label for label, fact in sound if fact.swing < SILENT)
        total = Counter(label for label, _ in sound)
        self._silence = {label for label, count in silent.items() if 2 * count > total[label]}

    def admit(self, candidate: Candidate) -> Example | None:
        """None for a clip that nothing can be learnt from."""
        may_be_silent = candidate.values["label"] in self._silence
        return super().admit(candidate) if self._screen.passes(candidate, may_be_silent=may_be_silent) else None

    def settle(self, examples: list[Example]) -> list[Example]:
        """The examples as they are."""
        self._screen.close()
        for example in examples:
            self._seconds[example.values["label"]] += clip_fact(self._case.survey, example.files["audio"].name).seconds
        return super().settle(examples)

    def figures(self) -> dict[str, object]:
        """Clips and seconds of each class."""
        found = super().figures()
        classes = found["classes"]
        assert isinstance(classes, tuple)
        return found | {"classes": tuple(self._timed(each) for each in classes)}

    def _timed(self, each: ClassCount) -> ClassCount:
        return each.model_copy(update={"seconds": round(self._seconds[each.label], 3)})

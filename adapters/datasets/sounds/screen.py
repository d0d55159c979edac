"""Which clips can be learnt from at all, whatever they are said to hold."""

from __future__ import annotations

from adapters.datasets.archives import shown
from adapters.datasets.media.judge import Case
from adapters.datasets.media.layout import Candidate
from adapters.datasets.sounds.fact import ClipFact, clip_fact

LEAST_SECONDS = 0.05
SILENT = 1e-4  # of full scale, -80 dB: three steps of 16 bits
QUIET = 1e-3  # -60 dB
CUT = "Cut it into parts, each with what is said or heard in it."
CLIPPED = 0.002  # share of samples at full scale: the loud half of a cut-off recording; normalised ones have a tenth


class Screen:
    """Refuses clips one by one and remembers those that are worth a warning."""

    def __init__(self, case: Case, *, most_seconds: float) -> None:
        self._case, self._most = case, most_seconds
        self._clipped: list[str] = []
        self._quiet: list[str] = []

    def passes(self, candidate: Candidate, *, may_be_silent: bool = False) -> bool:
        """False with the reason among the problems."""
        fact = clip_fact(self._case.survey, candidate.file)
        found = self._fault(fact, may_be_silent)
        if found is not None:
            code, said, fix = found
            message = f"{shown(candidate.file)}: {said}; it is left out."
            self._case.search.note("error", code, message, fix, file=candidate.file, row=candidate.row)
            return False
        if fact.clipped >= CLIPPED:
            self._clipped.append(candidate.file)
        elif fact.swing < QUIET and not may_be_silent:
            self._quiet.append(candidate.file)
        return True

    def close(self) -> None:
        """Note the warnings, of each kind the first twenty files by name."""
        note = self._case.search.note_files
        said = "the recording is clipped: its loud parts are cut off at full scale"
        note("warning", "clipped_audio", self._clipped, said, "Record it again at a lower level; it is used as it is.")
        said = "the recording is hardly audible, below -60 dB"
        note("warning", "quiet_audio", self._quiet, said, "Listen to it, and delete it if there is nothing to hear.")

    def _fault(self, fact: ClipFact, may_be_silent: bool) -> tuple[str, str, str] | None:
        if fact.written_rate and fact.written_rate != fact.rate:
            said = f"its header says {fact.rate} Hz, but bytes for {fact.written_rate} Hz"
            return "rate_mismatch", said, "Save it again with the rate at which it was recorded."
        if fact.seconds > self._most:
            said = f"the clip lasts {fact.seconds:.1f} s; at most {self._most:g} are learnt from"
            return "audio_too_long", said, CUT
        if fact.seconds < LEAST_SECONDS:
            said = f"the clip lasts {fact.seconds * 1000:.0f} ms, too short to hold anything"
            return "audio_too_short", said, "Delete it, or record it again."
        if fact.swing < SILENT and not may_be_silent:
            return "silent_audio", "the clip is silent", "Delete it, or record it again."
        return None

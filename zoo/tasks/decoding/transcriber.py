"""Windows to tokens: batches through the encoder, search in the decoder, another try where the text looks wrong."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from zoo.errors import ZooError
from zoo.tasks.decoding.alignment import moments
from zoo.tasks.decoding.beam import Beams, beam
from zoo.tasks.decoding.cached_decoder import CachedDecoder, Ids
from zoo.tasks.decoding.caller import caller_of
from zoo.tasks.decoding.greedy import Hypothesis, Limits, greedy, log_softmax
from zoo.tasks.decoding.shared_batches import SharedBatches, answered
from zoo.tasks.decoding.transcript import Spoken
from zoo.tasks.decoding.whisper_rules import WhisperRules
from zoo.tasks.decoding.whisper_tokens import WhisperTokens
from zoo.tasks.processors.whisper_window import Window, stacked
from zoo.tasks.task import Array, Runs

BATCH = 4 * 1500  # positions that are decoded together, filling counted: 74 MB of keys and values in whisper-tiny-en
UNLIKE = 2.0  # times as long: such windows are not decoded together, the shorter would wait for the longer
# Positions squared in one run of the encoder: attention holds them for every head, 54 MB of a whole window in
# whisper-tiny-en. Several long windows at once are no faster: of 15 s two take 70 MB less than four.
ATTENTION = 1500**2 // 2
# Radford et al. (2022), section 4.5.
HOTTER = 0.2
HOTTEST = 1.0
REPEATS = 2.4
UNLIKELY = -1.0
SILENT = 0.6
# What whisper-tiny-en writes to silence and noise is one word ("you") with a chance of no speech from .5 to .96; of
# asr_kathleen's clips none has more than .07.
BRIEF = 2  # tokens of text
HOPELESS = -1.5  # below lies the likeliest of all tries on 29 s of noise: there is nothing to be understood
# Speech has at most 5.4 tokens a second in asr_kathleen, languages that are written in bytes several times as many.
LEAST_TOKENS = 24
TOKENS_PER_PLACE = 0.5  # 25 a second
LOOP = 48  # tokens of one phrase again and again: the text would be refused as repeating itself


@dataclass(frozen=True)
class Asked:
    """What is wanted of a window; ``prompt`` are tokens of what came before. Without a language it is detected.

    ``most`` tokens are written at the most. Above a ``temperature`` of zero one text is drawn, whatever ``beams`` says.
    """

    language: str | None = None
    task: str = "transcribe"
    prompt: tuple[int, ...] = ()
    times: bool = False
    temperature: float = 0.0
    beams: Beams = Beams(1)
    most: int | None = None
    words: bool = False


Wanted = tuple[Window, Asked]


class Transcriber:
    """Safe to use from several threads: what they ask for at once is decoded together.

    Clips and the windows of long recordings have batches of their own, so that a clip need not wait for such a one.
    """

    def __init__(self, tokens: WhisperTokens) -> None:
        self._tokens = tokens
        self._clips: SharedBatches[Wanted, Spoken] = SharedBatches(_batch, cost=_cost)
        self._recordings: SharedBatches[Wanted, Spoken] = SharedBatches(_batch, cost=_cost)

    def transcribe(
        self, windows: Sequence[Window], asked: Sequence[Asked], run: Runs, *, recording: bool = False
    ) -> list[Spoken]:
        """What was heard in each window, in their order; ``recording``: whether they are parts of a long one."""
        return answered(self.tried(windows, asked, run, recording=recording))

    def tried(
        self, windows: Sequence[Window], asked: Sequence[Asked], run: Runs, *, recording: bool = False
    ) -> list[Spoken | ZooError]:
        """``transcribe``, with what a window failed with in its place."""
        batches = self._recordings if recording else self._clips
        wanted = list(zip(windows, asked, strict=True))
        return batches(wanted, lambda batch: self._answered(batch, run), caller_of(run))

    def _answered(self, batch: Sequence[Wanted], run: Runs) -> list[Spoken]:
        """Of windows with the same wishes."""
        windows = [window for window, _ in batch]
        given = stacked(windows)
        fixed = {"weights": given["weights"], **self._heard(given, run)}
        most = np.array([LEAST_TOKENS + int(TOKENS_PER_PLACE * window.heard) for window in windows])
        asked = batch[0][1]
        found = self._spoken(fixed, most, asked, run)
        if not asked.words:
            return found
        return [
            self._timed(spoken, {name: values[[row]] for name, values in fixed.items()}, windows[row].heard, asked, run)
            for row, spoken in enumerate(found)
        ]

    def _heard(self, given: dict[str, Array], run: Runs) -> dict[str, Array]:
        """Keys and values of all windows, which the encoder hears a few at a time."""
        count, positions = given["weights"].shape
        some = max(1, ATTENTION // positions**2)
        joined: list[Array] = []
        for start in range(0, count, some):
            part = run({name: values[start : start + some] for name, values in given.items()})
            # Copied at once: an answer that is held keeps all the memory of its run from being given back.
            joined = joined or [np.empty((count, *values.shape[1:]), values.dtype) for values in part]
            for whole, values in zip(joined, part, strict=True):
                whole[start : start + some] = values
            del part, values
        return {f"cross_{name}": values for name, values in zip(self._tokens.names, joined, strict=True)}

    def _spoken(self, fixed: dict[str, Array], most: Ids, asked: Asked, run: Runs) -> list[Spoken]:
        """Hotter and hotter, for those rows whose text repeats itself or is unlikely; ``most`` tokens of each row."""
        count = len(fixed["weights"])
        languages = [asked.language] * count
        if self._tokens.multilingual and asked.language is None:
            languages = self._detected(fixed, run)
        tries: list[list[Spoken]] = [[] for _ in range(count)]
        for language in dict.fromkeys(languages):
            rows = np.array([row for row in range(count) if languages[row] == language], dtype=np.int64)
            temperature = asked.temperature
            while len(rows):
                some = fixed if len(rows) == count else {name: values[rows] for name, values in fixed.items()}
                found = self._try(some, most[rows], replace(asked, language=language, temperature=temperature), run)
                for row, spoken in zip(rows, found, strict=True):
                    tries[row].append(spoken)
                temperature = round(temperature + HOTTER, 2)
                last = temperature > HOTTEST
                rows = np.array([row for row in rows if not last and _wrong(tries[row][-1])], dtype=np.int64)
        return [_best(tried) for tried in tries]

    def _try(self, fixed: dict[str, Array], most: Ids, asked: Asked, run: Runs) -> list[Spoken]:
        ids, count = self._tokens, len(fixed["weights"])
        prompt, began = self._prompt(asked)
        decoder = self._decoder(fixed, run)
        tokens = np.tile(np.array(prompt, dtype=np.int64), (count, 1, 1))
        logits = decoder.step(tokens, at=(began, -1))[:, 0]
        silence = np.exp(log_softmax(logits[:, 0]))[:, ids.no_speech] if ids.no_speech else np.zeros(count)
        room = ids.most_tokens - len(prompt)
        limits = Limits(ids.end, np.minimum(most, min(room, asked.most or room)).tolist(), loop=LOOP)
        if asked.beams.count > 1 and asked.temperature == 0:
            hypotheses = beam(decoder, logits[:, 1], limits, self._rules(asked), asked.beams)
        else:
            seed = round(10 * asked.temperature)  # another draw for each try
            hypotheses = greedy(decoder, logits[:, 1], limits, self._rules(asked), asked.temperature, seed)
        return [
            _judged(hypothesis, float(silent), asked, ids)
            for hypothesis, silent in zip(hypotheses, silence, strict=True)
        ]

    def _timed(self, spoken: Spoken, fixed: dict[str, Array], heard: int, asked: Asked, run: Runs) -> Spoken:
        """With the moment of each token, of what was heard in a window of ``fixed`` alone."""
        if not spoken.tokens:
            return spoken
        prompt, _ = self._prompt(replace(asked, language=spoken.language))
        seen = self._decoder(fixed, run).alignment(np.array([[[*prompt, *spoken.tokens]]], dtype=np.int64))
        return replace(spoken, moments=moments(seen[0, 0, :, len(prompt) :, :heard]))

    def _decoder(self, fixed: dict[str, Array], run: Runs) -> CachedDecoder:
        ids = self._tokens
        return CachedDecoder(run["decoder"], fixed, ids.names, (ids.heads, ids.width))

    def _prompt(self, asked: Asked) -> tuple[list[int], int]:
        """The tokens before the text, and the place of the one that starts the transcript."""
        ids = self._tokens
        before: list[int] = []
        if asked.prompt and ids.previous is not None:  # at most half of the places, its end counts most
            before = [ids.previous, *asked.prompt[-(ids.most_tokens // 2 - 1) :]]
        wanted = [ids.start]
        if ids.multilingual and asked.language is not None:
            wanted += [
                ids.languages[asked.language],
                (ids.translate if asked.task == "translate" else ids.transcribe) or 0,
            ]
        if not asked.times:
            wanted.append(ids.no_times)
        return [*before, *wanted], len(before)

    def _detected(self, fixed: dict[str, Array], run: Runs) -> list[str | None]:
        """The likeliest language of each row."""
        names = list(self._tokens.languages)
        start = np.full((len(fixed["weights"]), 1, 1), self._tokens.start, dtype=np.int64)
        logits = self._decoder(fixed, run).step(start)[:, 0, 0]
        best = logits[:, list(self._tokens.languages.values())].argmax(axis=1)
        return [names[int(place)] for place in best]

    def _rules(self, asked: Asked) -> WhisperRules:
        ids = self._tokens
        never = ids.never if asked.times else np.concatenate([ids.never, self._times()])
        first = np.array(ids.suppressed_first, dtype=np.int64)
        return WhisperRules(never, first, ids.end, ids.no_times, ids.first_time, times=asked.times)

    def _times(self) -> Ids:
        return np.arange(self._tokens.first_time, self._tokens.first_time + self._tokens.places + 1)


def _cost(wanted: Wanted) -> int:
    return wanted[0].cost


def _batch(waiting: Sequence[Wanted]) -> list[int]:
    """The first and those most like it in length that want the same: at most ``BATCH`` positions with filling."""
    (first, wish), *_ = waiting
    alike = [
        place
        for place, (window, asked) in enumerate(waiting)
        if asked == wish and max(window.cost, first.cost) <= UNLIKE * min(window.cost, first.cost)
    ]
    alike.sort(key=lambda place: abs(waiting[place][0].cost - first.cost))  # stable: the first stays the first
    batch: list[int] = []
    longest = 0
    for place in alike:
        longest = max(longest, waiting[place][0].cost)
        if batch and longest * (len(batch) + 1) > BATCH:
            break
        batch.append(place)
    return batch


def _judged(hypothesis: Hypothesis, silence: float, asked: Asked, ids: WhisperTokens) -> Spoken:
    words = [token for token in hypothesis.tokens if token < ids.end]
    text = np.array(words, dtype="<u2").tobytes()
    compression = len(text) / len(zlib.compress(text)) if text else 0.0
    silent = silence > SILENT and (hypothesis.mean < UNLIKELY or len(words) <= BRIEF)
    return Spoken(hypothesis.tokens, hypothesis.mean, compression, silence, asked.temperature, silent, asked.language)


def _best(tries: Sequence[Spoken]) -> Spoken:
    """The last try, with which one was content; if with none, the likeliest of those that do not repeat themselves."""
    if not _wrong(tries[-1]):
        return tries[-1]
    best = max([spoken for spoken in tries if spoken.compression <= REPEATS] or tries, key=lambda spoken: spoken.mean)
    return replace(best, silent=best.mean < HOPELESS)


def _wrong(spoken: Spoken) -> bool:
    return not spoken.silent and (spoken.compression > REPEATS or spoken.mean < UNLIKELY)

"""A long recording, joined of clips with silences and noise: words, memory above the loaded model, first words.

`python -m benchmarks.long_recording DATA [--minutes 60] [--model whisper-tiny-en] [--home HOME]`, where DATA holds
`asr_kathleen/test.zip`. The recording is read from its file as `/v1/audio/transcriptions` reads it, once all of it and
once up to the first words of a streamed answer. Memory is the peak of the resident set of this process, which has
nothing else to do. With `--whole` it is sent as `/models/{id}` takes it: in one request, as bytes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.service import HOME, circumstances
from benchmarks.spoken import longest_loop, read_clips, word_error_rate, write_recording
from zoo.catalogue.registry import Registry, load_catalogue
from zoo.catalogue.store import Store
from zoo.engine.predictor import Predictor
from zoo.engine.threads import granted_threads
from zoo.tasks.decoding.transcript import joined


def loaded(home: Path, model: str, threads: int) -> Predictor:
    """A model of the zoo, which has to be there."""
    store = Store(home)
    entry = Registry(store, load_catalogue()).resolve(model)
    predictor = Predictor(entry, store.folder(entry.name, entry.version), threads=threads)
    predictor.warm()
    return predictor


def resident(field: str) -> float:
    """MB: ``VmRSS`` is now, ``VmHWM`` the peak since it was last forgotten."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(field)).split()[1]) * 1024 / 1e6


def forget_peak() -> None:
    """The peak of the resident set starts again from what it is now (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def transcribed(ears: Predictor, path: Path, *, whole: bool) -> str:
    """The text of a recording."""
    if whole:
        body: Any = ears.predict(path.read_bytes()).body
        return str(body["text"])
    with path.open("rb") as file:
        found: list[Any] = [prediction.body for prediction in ears.listen(file)]
    return joined(found).text


def seconds_to_words(ears: Predictor, path: Path) -> float:
    """Until the first text of a streamed answer."""
    started = time.perf_counter()
    with path.open("rb") as file:
        for prediction in ears.listen(file, eager=True):
            stretch: Any = prediction.body
            if stretch.text:
                break
    return time.perf_counter() - started


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("data", type=Path)
    asked.add_argument("--minutes", type=float, default=60)
    asked.add_argument("--model", default="whisper-tiny-en")
    asked.add_argument("--home", type=Path, default=HOME)
    asked.add_argument("--threads", type=int, default=granted_threads())
    asked.add_argument("--clips", type=int, help="only the first so many")
    asked.add_argument("--whole", action="store_true")
    given = asked.parse_args()
    clips = read_clips(given.data / "asr_kathleen" / "test.zip", given.clips)
    ears = loaded(given.home, given.model, given.threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.flac"
        said = write_recording(clips, given.minutes, path)
        print(f"{circumstances()}, {given.threads} threads, {given.model}, {given.minutes:g} minutes")
        forget_peak()
        before = resident("VmRSS")
        first = seconds_to_words(ears, path)
        started, busy = time.perf_counter(), time.process_time()
        text = transcribed(ears, path, whole=given.whole)
        spent, busy = time.perf_counter() - started, time.process_time() - busy
        peak = resident("VmHWM")
    alone = [str(ears.predict(clip.sound).body["text"]) for clip in clips]  # type: ignore[index]
    print(f"first words when streamed: {first:.2f} s")
    print(f"memory: {before:.0f} MB loaded, at most {peak - before:.0f} MB more")
    print(f"WER joined {word_error_rate([said], [text]):.4f}, single clips", end=" ")
    print(f"{word_error_rate([clip.text for clip in clips], alone):.4f}; longest loop {longest_loop(text)} words")
    print(f"{given.minutes * 60 / spent:.1f} seconds of audio a second ({busy:.0f} s of processor time)")


if __name__ == "__main__":
    main()

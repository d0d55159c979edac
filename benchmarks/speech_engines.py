"""Four ways to write down the same files, each in a process of its own: ours, faster-whisper (alone and in batches of
eight) and transformers' pipeline.

`python -m benchmarks.speech_engines` reads one request as JSON (`engine`, `home`, `checkpoint`, `version`,
`precision`, `threads`, `at_once`, `warm`, `paths`) and prints the texts, the seconds and the seconds of processor time
that they took, loading not counted.
All decode greedily; each falls back to higher temperatures where it does so by itself.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Listen = Callable[[str], str]


def ours(request: dict[str, Any]) -> Listen:
    """The predictor of a version of the zoo; recordings are read from their files."""
    from zoo.catalogue.registry import Registry
    from zoo.catalogue.store import Store
    from zoo.engine.predictor import Predictor
    from zoo.tasks.decoding.transcript import joined

    store = Store(Path(request["home"]))
    entry = Registry(store, {}).resolve(request["version"])
    ears = Predictor(entry, store.folder(entry.name, entry.version), threads=request["threads"])
    ears.warm()

    def listen(path: str) -> str:
        with Path(path).open("rb") as file:
            found: list[Any] = [prediction.body for prediction in ears.listen(file)]
        return joined(found).text

    return listen


def faster_whisper(request: dict[str, Any]) -> Listen:
    """One file after the other, each window behind the one before."""
    model = _faster_whisper(request)

    def listen(path: str) -> str:
        segments, _ = model.transcribe(path, beam_size=1, language="en")
        return "".join(segment.text for segment in segments)

    return listen


def faster_whisper_batched(request: dict[str, Any]) -> Listen:
    """Windows between pauses that its voice detector finds, eight at once."""
    from faster_whisper import BatchedInferencePipeline  # type: ignore[import-not-found]

    model = BatchedInferencePipeline(_faster_whisper(request))

    def listen(path: str) -> str:
        segments, _ = model.transcribe(path, beam_size=1, language="en", batch_size=8)
        return "".join(segment.text for segment in segments)

    return listen


def _faster_whisper(request: dict[str, Any]) -> Any:
    from faster_whisper import WhisperModel

    kind = {"fp32": "float32", "int8": "int8"}[request["precision"]]
    return WhisperModel(request["checkpoint"], device="cpu", compute_type=kind, cpu_threads=request["threads"])


def transformers(request: dict[str, Any]) -> Listen:
    """The pipeline with what its model's makers say of decoding."""
    import soundfile
    import torch
    from transformers import GenerationConfig, WhisperFeatureExtractor, WhisperTokenizer, pipeline

    from adapters.training.layouts.whisper import read_whisper, special_tokens

    torch.set_num_threads(request["threads"])
    checkpoint = Path(request["checkpoint"])
    whisper = read_whisper(checkpoint)
    ids = special_tokens(checkpoint, whisper.model.config.vocab_size)
    whisper.model.generation_config = GenerationConfig(
        max_length=whisper.model.config.max_target_positions,
        decoder_start_token_id=ids["start"],
        eos_token_id=ids["end"],
        pad_token_id=ids["end"],
        no_timestamps_token_id=ids["no_times"],
        is_multilingual=ids["multilingual"],
        suppress_tokens=list(whisper.suppressed),
        begin_suppress_tokens=list(whisper.suppressed_first),
    )
    made = pipeline(
        "automatic-speech-recognition",
        model=whisper.model,
        tokenizer=WhisperTokenizer.from_pretrained(checkpoint, local_files_only=True),
        feature_extractor=WhisperFeatureExtractor(feature_size=whisper.model.config.num_mel_bins),
    )

    def listen(path: str) -> str:
        samples, rate = soundfile.read(path, dtype="float32")
        return str(made({"raw": samples, "sampling_rate": rate})["text"])

    return listen


ENGINES = {
    "ours": ours,
    "faster-whisper": faster_whisper,
    "faster-whisper, batched": faster_whisper_batched,
    "transformers": transformers,
}


def main() -> None:
    request = json.load(sys.stdin)
    listen = ENGINES[request["engine"]](request)
    listen(request["warm"])
    started, busy = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(request["at_once"]) as pool:
        texts = list(pool.map(listen, request["paths"]))
    print(json.dumps([texts, time.perf_counter() - started, time.process_time() - busy]))


if __name__ == "__main__":
    main()

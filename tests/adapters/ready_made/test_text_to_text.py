"""An encoder with a merged decoder writes what transformers' generate writes with the same weights, without torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from adapters.training.texts.vocabulary import read_vocabulary
from tests.adapters.ready_made.imports import imported, imported_lightly, run
from tests.tiny_merged import write_merged
from tests.tiny_texts import SPACE, write_bart, write_m2m, write_marian, write_t5
from zoo.catalogue.store import Store
from zoo.errors import ParityFailed, ZooError

TEXTS = ["the cat sees a big dog!", "she likes, he likes", "catdog"]
SEARCHES: list[dict[str, Any]] = [{}, {"num_beams": 1}, {"num_beams": 4, "length_penalty": 0.5, "max_new_tokens": 9}]


@dataclass(frozen=True)
class Case:
    """A tiny network of a kind: what a request says, and what generate is told so that it means the same.

    ``ids`` are those of ``TEXTS``, where the tokenizer is one that transformers needs the library sentencepiece for;
    they were written down from transformers 5.23 with sentencepiece 0.2.3. All others are asked for, behind ``prefix``.
    """

    write: Any
    parameters: Mapping[str, str] = field(default_factory=dict)
    search: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""
    ids: tuple[list[int], ...] = ()


CASES = {
    "bart": Case(write_bart),
    "t5": Case(
        write_t5,
        search={"max_length": 12, "num_beams": 2, "early_stopping": True},
        prefix="he sees: ",
    ),
    "marian": Case(
        write_marian,
        parameters={"src_lang": "en", "tgt_lang": "de"},
        ids=(
            [16, 36, 24, 21, 2, 6, 16, 17, 9, 3, 50, 0],
            [13, 7, 49, 14, 7, 0],
            [2, 20, 31, 23, 0],
        ),
    ),
    "m2m_100": Case(
        write_m2m,
        parameters={"src_lang": "en", "tgt_lang": "de"},
        search={"forced_bos_token_id": 147},
        ids=(
            [149, 120, 21, 18, 64, 113, 56, 61, 67, 4, 2],
            [149, 115, 93, 6, 76, 93, 2],
            [149, 64, 17, 28, 20, 2],
        ),
    ),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A network of each kind, its graphs beside its weights, its tokenizer as exporters leave it."""
    root = tmp_path_factory.mktemp("merged")
    made = {kind: write_merged(case.write(root / kind)) for kind, case in CASES.items()}
    read_vocabulary(made["t5"])  # writes tokenizer.json
    write_joined_tokenizer(made["marian"])
    return made


@pytest.fixture(scope="module")
def folder(folders: dict[str, Path]) -> Path:
    """A BART that summarises."""
    return folders["bart"]


def write_joined_tokenizer(folder: Path) -> None:
    """Both of a Marian's sides in one, as transformers.js has it; the library tokenizers cannot open such a file."""
    known: dict[str, int] = json.loads((folder / "vocab.json").read_text())
    spaces = {"type": "Metaspace", "replacement": SPACE, "add_prefix_space": True}
    made: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": None},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, spaces]},
        "post_processor": None,
        "decoder": spaces,
        "model": {"type": "Unigram", "unk_id": 2, "vocab": [[piece, -float(place)] for piece, place in known.items()]},
    }
    (folder / "tokenizer.json").write_text(json.dumps(made))


def generated(folder: Path, case: Case, search: Mapping[str, Any]) -> list[list[int]]:
    """What transformers writes to ``TEXTS``, one by one, the token that it starts with included."""
    model: Any = AutoModelForSeq2SeqLM.from_pretrained(folder)
    ids = case.ids or AutoTokenizer.from_pretrained(folder)([case.prefix + text for text in TEXTS]).input_ids
    asked = {**case.search, **search}
    return [model.generate(torch.tensor([row]), do_sample=False, **asked)[0].tolist() for row in ids]


def joined(folder: Path, tokens: list[int]) -> str:
    """The text of what was written."""
    if (folder / "tokenizer.json").is_file() and not (folder / "source.spm").is_file():
        return str(AutoTokenizer.from_pretrained(folder).decode(tokens, skip_special_tokens=True)).strip()
    named = {place: piece for piece, place in json.loads((folder / "vocab.json").read_text()).items()}
    pieces = (named.get(token, "") for token in tokens)  # languages stand behind the vocabulary
    return "".join(piece for piece in pieces if not piece.startswith("<")).replace(SPACE, " ").strip()


def test_texts_are_answered_without_torch_with_what_generate_writes(folders: dict[str, Path], tmp_path: Path) -> None:
    asked = [
        {
            "model": kind.replace("_", "-"),
            "source": {"kind": "folder", "path": str(folders[kind])},
            "inputs": TEXTS,
            "parameters": case.parameters,
        }
        for kind, case in CASES.items()
    ]
    for (kind, case), body in zip(CASES.items(), imported_lightly(tmp_path, asked), strict=True):
        texts = [joined(folders[kind], tokens) for tokens in generated(folders[kind], case, {})]
        key = "summary_text" if kind == "bart" else "translation_text"
        assert body == [{key: text} for text in texts], kind
        assert len(set(texts)) > 1


@pytest.mark.parametrize("kind", list(CASES))
def test_every_search_writes_generates_tokens(folders: dict[str, Path], tmp_path: Path, kind: str) -> None:
    case, served = CASES[kind], imported(tmp_path, folders[kind])
    assert (served.entry.parity["compared"], served.entry.parity["argmax_agreement"]) == (True, 1.0)
    end = served.entry.options["text_to_text"]["end"]
    for search in SEARCHES:
        rows: Any = served.rows(TEXTS, {"generate_parameters": search, **case.parameters})
        for (hypothesis,), tokens in zip(rows, generated(folders[kind], case, search), strict=True):
            assert [tokens[0], *hypothesis.tokens] == (tokens[:-1] if tokens[-1] == end else tokens), search


def test_graphs_are_compared_with_the_weights_beside_them(folder: Path, tmp_path: Path) -> None:
    context = run(tmp_path, folder)
    entry = Store(tmp_path).entry("mine", 1)
    assert (entry.parity["compared"], entry.parity["argmax_agreement"]) == (True, 1.0)
    assert entry.parity["max_abs_difference"] <= entry.parity["tolerance"]
    assert {"model.onnx", "decoder.onnx", "checkpoint/model.safetensors"} <= {file.path for file in entry.files}
    assert any("ready-made graph and its weights" in message for message in context.messages)


def test_graphs_of_other_weights_are_not_published(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    weights = load_file(other / "model.safetensors")
    name = next(name for name in weights if name.endswith("decoder.layers.1.fc1.weight"))
    weights[name] = weights[name] + 0.1 * torch.ones_like(weights[name])
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ParityFailed, match="not of one model") as caught:
        run(tmp_path / "home", other)
    assert caught.value.param == "source"
    assert Store(tmp_path / "home").names() == []


def test_an_encoder_without_its_merged_decoder_is_named(folder: Path, tmp_path: Path) -> None:
    half = shutil.copytree(folder, tmp_path / "half")
    (half / "onnx" / "decoder_model_merged.onnx").unlink()
    (half / "model.safetensors").unlink()
    with pytest.raises(ZooError, match=r"decoder_model_merged\.onnx") as caught:
        run(tmp_path / "home", half)
    assert caught.value.code == "incomplete_graph"

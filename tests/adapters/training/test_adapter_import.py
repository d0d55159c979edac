"""Adapters that peft saved elsewhere: what is served answers as peft's own model, or nothing is published."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel, RobertaConfig, RobertaModel

from adapters.training.peft_answers import alike
from tests.adapters.training.peft_folders import NAMES, Saved, imported, save
from tests.conftest import TinyZoo
from tests.imports import Imports
from tests.tiny import write_checkpoint
from zoo.catalogue.entry import ModelEntry
from zoo.engine.body import BARE, AdaptedRuns, Body
from zoo.engine.predictor import Predictor

TEXTS = ("my parcel is late", "why was the card charged again?", "locked")


def by_graph(zoo: TinyZoo, entry: ModelEntry) -> Predictor:
    return Predictor(entry, zoo.store.folder(entry.name, entry.version), threads=1)


def by_body(zoo: TinyZoo, entry: ModelEntry) -> Predictor:
    folder = zoo.store.folder(entry.name, entry.version)
    body = Body(zoo.store.folder("mini", 1), threads=1, budget=2**26)
    return Predictor(entry, folder, threads=1, runs=AdaptedRuns(body, entry, folder))


def check_rows(predictor: Predictor, expected: Sequence[Any]) -> None:
    for row, wanted in zip(predictor.rows(TEXTS), expected, strict=True):
        found = row[0] if isinstance(row, list) else row
        np.testing.assert_allclose(np.asarray(found, dtype=float), wanted, atol=1e-4)


@pytest.fixture(scope="module")
def zoo(tiny_zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> TinyZoo:
    """A home that all tests of this file publish in, each under a name of its own."""
    home = tmp_path_factory.mktemp("adapters") / "home"
    shutil.copytree(tiny_zoo.home, home)
    return TinyZoo(home, tiny_zoo.checkpoints)


Learnt = tuple[ModelEntry, Saved]


@pytest.fixture(scope="module")
def sequences(zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    """A classifier of texts whose adapter stands beside the pooler, too."""
    saved = save(zoo.checkpoints / "mini", tmp_path_factory.mktemp("made") / "x", kind="SEQ_CLS", named=NAMES)
    return imported(zoo, saved.folder, model="sequences"), saved


@pytest.fixture(scope="module")
def tokens(zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    """A classifier of tokens with ranks, alphas and scales of single layers."""
    saved = save(
        zoo.checkpoints / "mini",
        tmp_path_factory.mktemp("made") / "x",
        kind="TOKEN_CLS",
        use_rslora=True,
        rank_pattern={"layer.0.attention.self.query": 9},
        alpha_pattern={"value": 3},
    )
    return imported(zoo, saved.folder, model="tokens", labels=("O", "B-A", "I-A")), saved


def test_a_sequence_classifier_is_a_version_of_its_base_with_the_labels_beside_it(
    zoo: TinyZoo, sequences: Learnt
) -> None:
    entry, saved = sequences
    assert (entry.task, entry.labels, entry.base) == ("text-classification", NAMES, "mini@1")
    assert zoo.store.aliases("sequences") == {"live": 1}
    answer: Any = by_graph(zoo, entry).predict(TEXTS[0], {"top_k": 1}).body
    assert answer[0][0]["label"] == NAMES[int(saved.logits(TEXTS[0]).argmax())]


@pytest.mark.parametrize("kind", ["sequences", "tokens"])
def test_a_classifier_answers_as_peft_from_its_graph_and_from_its_body(
    zoo: TinyZoo, kind: str, request: pytest.FixtureRequest
) -> None:
    entry, saved = request.getfixturevalue(kind)
    assert entry.options["served_by"] == "body"
    assert entry.parity["max_abs_difference"] <= 1e-4
    assert entry.parity["slots"]["max_abs_difference"] <= 1e-4
    expected = [saved.logits(text).numpy() for text in TEXTS]
    check_rows(by_graph(zoo, entry), expected)
    check_rows(by_body(zoo, entry), expected)


def test_two_texts_are_read_together_as_peft_reads_them(zoo: TinyZoo, sequences: Learnt) -> None:
    entry, saved = sequences
    (row,) = by_body(zoo, entry).rows([{"text": TEXTS[0], "text_pair": TEXTS[1]}])
    pair = saved.answer(TEXTS[0], TEXTS[1]).logits[0]
    np.testing.assert_allclose(np.asarray(row, dtype=float), pair.numpy(), atol=1e-4)


def test_versions_made_elsewhere_and_the_bare_body_share_a_run(zoo: TinyZoo, sequences: Learnt, tokens: Learnt) -> None:
    body = Body(zoo.store.folder("mini", 1), threads=1, budget=2**26)
    (one, saved), (other, tagged) = sequences, tokens
    runs = [AdaptedRuns(body, entry, zoo.store.folder(entry.name, 1)) for entry in (one, other)]
    encoded = saved.tokenizer.encode(TEXTS[1])
    row = {"input_ids": encoded.ids, "attention_mask": encoded.attention_mask, "token_type_ids": encoded.type_ids}
    feeds: dict[str, Any] = {name: np.array([values] * 3) for name, values in row.items()}
    with runs[0].hold() as first, runs[1].hold() as second:
        vectors = body.run(feeds, [first, BARE, second])
    own = {name: values[:1] for name, values in feeds.items()}
    np.testing.assert_allclose(runs[0].head(vectors[:1], own)[0], saved.logits(TEXTS[1]), atol=1e-4)
    np.testing.assert_allclose(runs[1].head(vectors[2:], own)[0], tagged.logits(TEXTS[1]), atol=1e-4)


def test_the_kept_adapter_is_one_of_the_bodys_that_peft_loads(zoo: TinyZoo, tokens: Learnt) -> None:
    entry, saved = tokens
    adapter = zoo.store.folder(entry.name, entry.version) / "adapter"
    loaded = PeftModel.from_pretrained(AutoModel.from_pretrained(zoo.checkpoints / "mini"), str(adapter)).eval()
    head = load_file(adapter / "head.safetensors")
    encoded = saved.tokenizer.encode(TEXTS[1])
    with torch.no_grad():
        vectors = loaded(input_ids=torch.tensor([encoded.ids])).last_hidden_state[0]
    torch.testing.assert_close(vectors @ head["weight"].T + head["bias"], saved.logits(TEXTS[1]), atol=1e-4, rtol=0)


def test_the_lineage_names_the_maker_and_the_hashes_of_what_came(zoo: TinyZoo, tokens: Learnt) -> None:
    lineage = tokens[0].lineage
    assert lineage["made_for"] == "mini"  # not where it lay on its maker's machine
    assert sorted(lineage["adapter"]) == ["adapter_config.json", "adapter_model.safetensors"]
    assert {len(digest) for digest in lineage["adapter"].values()} == {64}


def test_an_adapter_for_answers_reads_what_peft_hands_on_to_it(zoo: TinyZoo, tmp_path: Path) -> None:
    """peft's model of this task leaves token_type_ids out, with which the body would answer otherwise."""
    saved = save(zoo.checkpoints / "mini", tmp_path / "made", kind="QUESTION_ANS")
    entry = imported(zoo, saved.folder, model="answers")
    assert (entry.task, entry.labels, entry.options["served_by"]) == ("question-answering", (), "merged")
    assert "token_type_ids" in entry.options["why"]
    answer = saved.answer("why late", "the parcel was lost again today")
    (row,) = by_graph(zoo, entry).rows([{"question": "why late", "context": "the parcel was lost again today"}])
    np.testing.assert_allclose(row[0][:, 0], answer.start_logits[0].numpy(), atol=1e-4)
    np.testing.assert_allclose(row[0][:, 1], answer.end_logits[0].numpy(), atol=1e-4)


def test_an_adapter_without_a_head_gives_vectors_pooled_as_the_bases(zoo: TinyZoo, tmp_path: Path) -> None:
    saved = save(zoo.checkpoints / "mini", tmp_path / "made", kind="FEATURE_EXTRACTION", targets="all-linear")
    for name in ("optimizer.pt", "training_args.bin"):  # of a training run: left where they are
        (saved.folder / name).write_bytes(b"not looked at")
    entry = imported(zoo, saved.folder, model="vectors")
    assert (entry.task, entry.options["served_by"]) == ("feature-extraction", "body")
    assert (entry.options["pooling"], entry.options["normalise"]) == ("mean", True)
    assert not [file.path for file in entry.files if file.path.endswith((".pt", ".bin"))]
    expected = [saved.answer(text).last_hidden_state[0].mean(dim=0).numpy() for text in TEXTS]
    check_rows(by_body(zoo, entry), expected)


def test_what_was_trained_whole_inside_of_the_body_is_served_by_the_graph(zoo: TinyZoo, tmp_path: Path) -> None:
    """An adapter that names no task, as peft saves it where it was given none."""
    saved = save(
        zoo.checkpoints / "mini",
        tmp_path / "made",
        kind="TOKEN_CLS",
        targets=("query",),
        task_type=None,
        modules_to_save=["classifier", "LayerNorm"],
    )
    assert json.loads((saved.folder / "adapter_config.json").read_text())["auto_mapping"]
    entry = imported(zoo, saved.folder, model="whole", labels=NAMES, task="token-classification")
    assert entry.options["served_by"] == "merged"
    assert "bert.embeddings.LayerNorm.bias is changed" in entry.options["why"]
    check_rows(by_graph(zoo, entry), [saved.logits(text).numpy() for text in TEXTS])


def test_on_a_base_without_slots_the_graph_answers(zoo: TinyZoo, tmp_path: Path) -> None:
    saved = save(zoo.checkpoints / "mood", tmp_path / "made", kind="SEQ_CLS", targets=("q_lin", "lin1"), labels=5)
    entry = imported(zoo, saved.folder, model="moods", base="mood", labels=("a", "b", "c", "d", "e"))
    assert entry.options["why"] == "its base has no graph with slots for adapters"
    assert entry.labels == ("a", "b", "c", "d", "e")
    check_rows(by_graph(zoo, entry), [saved.logits(text).numpy() for text in TEXTS])


@pytest.mark.parametrize(
    ("kind", "targets"), [("distilbert", ("q_lin", "lin2")), ("roberta", ("query", "intermediate.dense"))]
)
def test_heads_of_other_kinds_of_bodies_are_read_off_their_vectors(
    imports: Imports, tmp_path: Path, kind: str, targets: Sequence[str]
) -> None:
    zoo = TinyZoo(tmp_path / "home", tmp_path / "checkpoints")
    folder = write_checkpoint(zoo.checkpoints / "mini", kind="distilbert" if kind == "distilbert" else "bert")
    if kind == "roberta":
        as_roberta(folder)
    imports.bring(zoo.home, "mini", folder)
    saved = save(folder, tmp_path / "made", kind="SEQ_CLS", targets=targets, named=NAMES)
    entry = imported(zoo, saved.folder)
    assert entry.options["served_by"] == "body"
    check_rows(by_body(zoo, entry), [saved.logits(text).numpy() for text in TEXTS])


def as_roberta(folder: Path) -> None:
    """The same sizes of another kind, whose positions begin behind the padding."""
    config = json.loads((folder / "config.json").read_text())
    kept = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    made = RobertaConfig(**{name: config[name] for name in kept}, max_position_embeddings=66, pad_token_id=0)
    torch.manual_seed(5)
    model = RobertaModel(made)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder)


def test_answers_are_alike_whichever_of_two_equal_scores_comes_first() -> None:
    first, second = {"label": "a", "score": 0.5}, {"label": "b", "score": 0.50001}
    assert alike([[first, second]], [[second, first]])
    assert not alike([[first, second]], [[first, {"label": "b", "score": 0.6}]])
    assert not alike([{"word": "a"}], [{"word": "b"}])

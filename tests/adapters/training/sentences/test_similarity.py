"""What is learnt from pairs of texts: losses, figures, and a whole job."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from adapters.datasets import Example
from adapters.jobs import Hyperparameters
from adapters.training.activations import Activations
from adapters.training.recipes import sentence_similarity
from adapters.training.sentences.similarity import (
    SimilarityAdaptation,
    contrast_loss,
    order_loss,
    paired_figures,
    scored_figures,
)
from tests.adapters.training.jobs import adapted, served
from tests.conftest import TinyZoo
from tests.tiny import LABELS
from tests.tiny_sentences import text_of
from zoo.engine.predictor import Predictor

# Of three topics a third of what a pair is told from is of its own. With 16 pairs at once texts of two topics end up at
# least .34 further apart than texts of one (seeds 0 to 4), .60 where pairs have scores; with 8 of half as many .12.
PLAN = Hyperparameters(n_epochs=6, batch_size=16, learning_rate=0.01)


def pairs(count: int, *, scores: bool, seed: int = 0) -> list[dict[str, Any]]:
    """Texts of the same topic; with scores every other pair is of two topics, and scored 1 instead of 5."""
    draw = random.Random(seed)
    made = []
    for place in range(count):
        one, other = draw.sample(LABELS, 2)
        apart = scores and place % 2 == 1
        pair: dict[str, Any] = {
            "sentence1": text_of(draw, [one], words=3),
            "sentence2": text_of(draw, [other if apart else one], words=3),
        }
        made.append(pair | ({"score": 1.0 if apart else 5.0} if scores else {}))
    return made


def vectors(*rows: tuple[list[float], list[float]]) -> Tensor:
    return torch.tensor([list(row) for row in rows])


NEAR = vectors(([1.0, 0.0], [2.0, 0.0]), ([0.0, 1.0], [0.0, 3.0]))
SWAPPED = vectors(([1.0, 0.0], [0.0, 3.0]), ([0.0, 1.0], [2.0, 0.0]))
OWN = [(1, 2), (3, 4)]


def test_partners_that_are_nearest_cost_little_and_others_much() -> None:
    assert float(contrast_loss(NEAR, OWN)) < 1e-6
    assert float(contrast_loss(SWAPPED, OWN)) == pytest.approx(20.0, abs=1e-4)


def test_the_partner_of_an_equal_text_is_no_wrong_answer() -> None:
    assert float(contrast_loss(SWAPPED, [(1, 2), (1, 4)])) == pytest.approx(0.0, abs=1e-6)
    assert float(contrast_loss(SWAPPED, [(1, 2), (3, 2)])) == pytest.approx(0.0, abs=1e-6)


def test_a_batch_of_one_pair_teaches_nothing_and_harms_nothing() -> None:
    one = NEAR[:1].clone().requires_grad_(True)
    loss = contrast_loss(one, OWN[:1]) + order_loss(one, [3.0])
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-6)
    assert one.grad is not None and float(one.grad.abs().max()) < 1e-6


def test_pairs_in_the_order_of_their_scores_cost_little() -> None:
    rows = vectors(([1.0, 0.0], [1.0, 0.0]), ([1.0, 0.0], [0.0, 1.0]))  # cosines 1 and 0
    assert float(order_loss(rows, [5.0, 1.0])) < 1e-6
    assert float(order_loss(rows, [1.0, 5.0])) == pytest.approx(20.0, abs=1e-4)
    assert float(order_loss(rows, [3.0, 3.0])) == pytest.approx(0.0, abs=1e-6)


def test_figures_of_pairs_count_nearest_partners() -> None:
    found = paired_figures(NEAR, OWN)
    assert (found["rows"], found["recall_at_1"], found["spearman"]) == (2, 1.0, 1.0)
    lost = paired_figures(SWAPPED, OWN)
    assert (lost["recall_at_1"], lost["spearman"], lost["score"]) == (0.0, -1.0, -0.5)


def test_figures_of_scores_are_correlations() -> None:
    rows = vectors(([1.0, 0.0], [1.0, 0.0]), ([1.0, 0.0], [1.0, 1.0]), ([1.0, 0.0], [0.0, 1.0]))
    assert scored_figures(rows, [5.0, 3.0, 1.0])["spearman"] == 1.0
    assert scored_figures(rows, [1.0, 3.0, 5.0])["spearman"] == -1.0


def adaptation_of(zoo: TinyZoo, rows: list[dict[str, Any]]) -> tuple[SimilarityAdaptation, list[Example]]:
    examples = [
        Example(at, at, {"text": row["sentence1"], "text_pair": row["sentence2"]}) for at, row in enumerate(rows, 1)
    ]
    entry = zoo.store.entry("mini", 1)
    made = sentence_similarity.adapt(zoo.checkpoints / "mini", entry, examples, labels=(), asked=Hyperparameters())
    return made, examples


def test_kept_activations_of_both_texts_give_what_a_whole_pass_gives(tiny_zoo: TinyZoo) -> None:
    adaptation, examples = adaptation_of(tiny_zoo, pairs(12, scores=False))
    items = adaptation.encode(examples)
    activations = Activations(adaptation, 1)
    activations.gather(items)
    chosen = [items[place] for place in (3, 11, 0)]
    with torch.no_grad():
        whole = adaptation.network(**adaptation.collate(chosen))
        kept = activations.outputs(chosen)
    assert whole.shape == (3, 2, 32)
    torch.testing.assert_close(kept, whole, atol=1e-5, rtol=1e-5)


def test_each_text_is_read_as_it_is_served(tiny_zoo: TinyZoo) -> None:
    adaptation, examples = adaptation_of(tiny_zoo, pairs(5, scores=False))
    with torch.no_grad():
        (answers,) = functional.normalize(
            adaptation.network(**adaptation.collate(adaptation.encode(examples)[:1])), dim=-1
        )
    predictor = served(tiny_zoo, tiny_zoo.store.entry("mini", 1))
    expected = predictor.embed([examples[0].values["text"], examples[0].values["text_pair"]]).body
    np.testing.assert_allclose(answers.numpy(), np.stack(expected), atol=1e-5)  # type: ignore[call-overload]


def test_pairs_are_learnt_behind_the_prompt_that_they_are_served_with(tiny_zoo: TinyZoo, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_zoo.checkpoints / "mini", tmp_path / "mini"))
    settings = {"prompts": {"query": "refund the "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    entry, example = tiny_zoo.store.entry("mini", 1), Example(1, 1, {"text": "my parcel", "text_pair": "my card"})
    made = sentence_similarity.adapt(folder, entry, [example], labels=(), asked=Hyperparameters())
    with torch.no_grad():
        output = made.network(**made.collate(made.encode([example])))[0]
    draft = entry.model_copy(update={"task": "sentence-similarity", "options": made.servable().options})
    predictor = Predictor(draft, tiny_zoo.store.folder("mini", 1), threads=1)
    assert made.agrees(output, predictor.predict(made.request(example)).body, example)
    plain = served(tiny_zoo, entry).predict(made.request(example)).body
    assert not made.agrees(output, plain, example)


def test_a_text_longer_than_a_request_may_be_is_cut(tiny_zoo: TinyZoo) -> None:
    long = {"sentence1": "late " * 400, "sentence2": "parcel " * 400}
    adaptation, (example,) = adaptation_of(tiny_zoo, [long])
    request: Any = adaptation.request(example)
    assert (len(request["source_sentence"]), len(request["sentences"][0])) == (768, 768)
    with torch.no_grad():
        output = adaptation.network(**adaptation.collate(adaptation.encode([example])))[0]
    body = served(tiny_zoo, tiny_zoo.store.entry("mini", 1)).predict(request).body
    assert adaptation.agrees(output, body, example)


@pytest.mark.parametrize("scores", [False, True], ids=["pairs", "scored"])
def test_a_job_makes_texts_of_one_topic_alike(own_zoo: TinyZoo, scores: bool) -> None:
    entry, result = adapted(own_zoo, pairs(480, scores=scores), hyperparameters=PLAN)
    assert (entry.task, entry.labels) == ("sentence-similarity", ())
    own = own_zoo.store.entry("mini", 1).options
    assert {name: entry.options[name] for name in own} == own
    assert entry.options["served_by"] == "body"
    figures = result["metrics"]
    second = "pearson" if scores else "recall_at_1"
    assert set(figures["heldout"]) == {"rows", "spearman", second}
    gap = 1.0 - figures["before"]["spearman"]
    assert figures["heldout"]["spearman"] - figures["before"]["spearman"] >= 0.2 * gap or gap < 0.2
    fresh = pairs(60, scores=True, seed=9)
    asked = [{"source_sentence": row["sentence1"], "sentences": [row["sentence2"]]} for row in fresh]
    told: Any = served(own_zoo, entry).predict(asked).body
    near = np.mean([one for (one,), row in zip(told, fresh, strict=True) if row["score"] == 5])
    far = np.mean([one for (one,), row in zip(told, fresh, strict=True) if row["score"] == 1])
    assert near > far + 0.2
    assert entry.parity["argmax_agreement"] == 1.0


def test_an_adapter_of_similarity_has_no_head(own_zoo: TinyZoo) -> None:
    entry, _ = adapted(own_zoo, pairs(60, scores=False))
    folder = own_zoo.store.folder(entry.name, 1)
    assert not (folder / "adapter" / "head.safetensors").exists()
    assert "head.safetensors" not in (folder / "README.md").read_text()
    assert "| mini@1 as it is |" in (folder / "README.md").read_text()


def test_a_classifier_gives_its_body(own_zoo: TinyZoo) -> None:
    entry, _ = adapted(own_zoo, pairs(60, scores=True), model="mood", hyperparameters=Hyperparameters(n_epochs=1))
    assert (entry.base, entry.architecture) == ("mood@1", "distilbert")
    vectors_: Any = served(own_zoo, entry).embed(["my parcel"]).body
    assert len(vectors_[0]) == 32

"""The fine-tune job from data file to published version, on a tiny body."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

from adapters.datasets import FileStore
from adapters.jobs import Hyperparameters, JobKind, JobPreempted, JobSpec
from adapters.training import adapt, lora
from tests.adapters.training.quiet_context import QuietContext, context_for
from tests.conftest import TinyZoo
from tests.tiny import LABELS, rows, write_csv
from zoo.catalogue.adapter import LoraAdapter
from zoo.engine.predictor import Predictor
from zoo.errors import InvalidInput, ParityFailed

FAST = Hyperparameters(n_epochs=6, batch_size=8, learning_rate=0.01)


def upload(zoo: TinyZoo, data: list[tuple[str, str]]) -> str:
    """The id of a data file with these rows."""
    path = write_csv(zoo.home / "upload.csv", data)

    async def chunks() -> AsyncIterator[bytes]:
        yield path.read_bytes()

    files = FileStore(zoo.home, zoo.settings)
    return asyncio.run(files.receive(chunks(), filename="tickets.csv", purpose="fine-tune")).id


def asked(zoo: TinyZoo, *, job: str = "ftjob-1", stop_at: int | None = None, **spec: Any) -> QuietContext:
    defaults: dict[str, Any] = {"kind": JobKind.ADAPT, "model": "mini", "suffix": "tickets", "hyperparameters": FAST}
    return context_for(zoo.home, JobSpec(**(defaults | spec)), job=job, stop_at=stop_at)


@pytest.fixture(scope="module")
def adapted(tiny_zoo: TinyZoo, tmp_path_factory: pytest.TempPathFactory) -> tuple[TinyZoo, dict[str, Any]]:
    """One whole job; its zoo and its result."""
    import shutil

    home = tmp_path_factory.mktemp("adapted") / "home"
    shutil.copytree(tiny_zoo.home, home)
    zoo = TinyZoo(home, tiny_zoo.checkpoints)
    context = asked(zoo, training_file=upload(zoo, rows(300)), seed=3)
    return zoo, adapt.run(context, zoo.settings)


def test_the_result_names_the_next_version_of_the_suffix(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, result = adapted
    assert result["fine_tuned_model"] == "tickets@1"
    assert zoo.store.aliases("tickets") == {"live": 1}


def test_the_adapted_model_has_learnt_the_data(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, _ = adapted
    entry = zoo.store.entry("tickets", 1)
    predictor = Predictor(entry, zoo.store.folder("tickets", 1), threads=1)
    fresh = [pair for pair in rows(60, seed=99) if pair not in rows(300)]
    body: Any = predictor.predict([text for text, _ in fresh]).body
    right = sum(answer[0]["label"] == label for answer, (_, label) in zip(body, fresh, strict=True))
    assert right >= 0.8 * len(fresh)  # a guess is right once in three times


def test_the_manifest_tells_the_whole_story(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, _ = adapted
    entry = zoo.store.entry("tickets", 1)
    assert (entry.base, entry.labels, entry.precision) == ("mini@1", LABELS, "fp32")
    assert entry.lineage["seed"] == 3
    assert entry.lineage["rows"] == {"rows": 300, "usable": 300, "train": 225, "validation": 30, "heldout": 45}
    assert set(entry.metrics["heldout"]["per_class"]) == set(LABELS)
    assert np.array(entry.metrics["heldout"]["confusion"]).sum() == 45
    assert set(entry.metrics["probe"]) == {"accuracy", "macro_f1"}
    assert entry.parity["max_abs_difference"] <= 1e-4 and entry.parity["argmax_agreement"] == 1.0


def test_the_card_stands_beside_the_model(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, _ = adapted
    card = (zoo.store.folder("tickets", 1) / "README.md").read_text()
    assert card.startswith("# tickets\n")
    assert "225 to train on" in card and "| billing |" in card


def test_the_steps_can_be_read_as_a_result_file(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, result = adapted
    path = FileStore(zoo.home, zoo.settings).content_path(result["result_files"][0])
    steps = [int(line["step"]) for line in csv.DictReader(path.read_text().splitlines())]
    assert steps == [0, 29, 58, 87, 116, 145, 174]


def pooled_by_torch(body: torch.nn.Module, checkpoint: Path, text: str) -> torch.Tensor:
    encoded = AutoTokenizer.from_pretrained(checkpoint)(text, return_tensors="pt")
    with torch.no_grad():
        hidden = body(**encoded).last_hidden_state[0]
    return torch.nn.functional.normalize(hidden.mean(dim=0), dim=-1)


def test_peft_loads_the_adapter_as_it_is(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, _ = adapted
    folder = zoo.store.folder("tickets", 1)
    checkpoint = zoo.checkpoints / "mini"
    wrapped = PeftModel.from_pretrained(AutoModel.from_pretrained(checkpoint), str(folder / "adapter"))
    head = load_file(folder / "adapter" / "head.safetensors")
    vector = pooled_by_torch(wrapped.eval(), checkpoint, "my parcel was late again")
    expected = head["weight"] @ vector + head["bias"]
    predictor = Predictor(zoo.store.entry("tickets", 1), folder, threads=1)
    (served,) = predictor.rows(["my parcel was late again"])
    np.testing.assert_allclose(np.asarray(served, dtype=float), expected.numpy(), atol=1e-4)


def test_the_adapter_is_read_without_peft(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, _ = adapted
    folder = zoo.store.folder("tickets", 1)
    adapter = LoraAdapter.read(folder / "adapter")
    body = AutoModel.from_pretrained(zoo.checkpoints / "mini")
    with torch.no_grad():
        for name in adapter.pairs:
            body.get_submodule(name).weight += torch.from_numpy(adapter.delta(name))
    vector = pooled_by_torch(body.eval(), zoo.checkpoints / "mini", "card charged twice").numpy()
    expected = adapter.head["weight"] @ vector + adapter.head["bias"]
    (served,) = Predictor(zoo.store.entry("tickets", 1), folder, threads=1).rows(["card charged twice"])
    np.testing.assert_allclose(np.asarray(served, dtype=float), expected, atol=1e-4)


def test_the_adapter_names_no_folder_of_the_machine(adapted: tuple[TinyZoo, dict[str, Any]]) -> None:
    zoo, _ = adapted
    config = json.loads((zoo.store.folder("tickets", 1) / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "mini@1"


def test_a_preempted_job_resumes_and_ends_with_the_same_bits(own_zoo: TinyZoo) -> None:
    file = upload(own_zoo, rows(90))
    adapt.run(asked(own_zoo, job="whole", suffix="whole", training_file=file), own_zoo.settings)
    with pytest.raises(JobPreempted):
        adapt.run(asked(own_zoo, job="cut", suffix="cut", training_file=file, stop_at=13), own_zoo.settings)
    resumed = asked(own_zoo, job="cut", suffix="cut", training_file=file)
    adapt.run(resumed, own_zoo.settings)
    assert "Resumed from step 13" in resumed.messages
    whole, cut = (own_zoo.store.folder(name, 1) / "adapter" / "adapter_model.safetensors" for name in ("whole", "cut"))
    for name, tensor in load_file(whole).items():
        assert torch.equal(tensor, load_file(cut)[name]), name


def test_a_second_attempt_of_a_published_job_publishes_nothing(own_zoo: TinyZoo) -> None:
    file = upload(own_zoo, rows(60))
    first = adapt.run(asked(own_zoo, training_file=file), own_zoo.settings)
    again = adapt.run(asked(own_zoo, training_file=file), own_zoo.settings)
    assert first["fine_tuned_model"] == again["fine_tuned_model"] == "tickets@1"
    assert own_zoo.store.versions("tickets") == [1]


def test_a_failed_gate_publishes_nothing(own_zoo: TinyZoo, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = lora.merged
    scaled = []

    def doubled(wrapped: Any) -> Any:
        for layer in wrapped.modules():
            if hasattr(layer, "scaling") and isinstance(layer.scaling, dict):
                layer.scaling = {name: 2 * value for name, value in layer.scaling.items()}
                scaled.append(layer)
        return whole(wrapped)

    monkeypatch.setattr(lora, "merged", doubled)
    with pytest.raises(ParityFailed, match="largest difference"):
        adapt.run(asked(own_zoo, training_file=upload(own_zoo, rows(300))), own_zoo.settings)
    assert scaled
    assert own_zoo.store.names() == ["mini", "mood"]


def test_a_validation_file_takes_the_place_of_the_held_out_rows(own_zoo: TinyZoo) -> None:
    context = asked(own_zoo, training_file=upload(own_zoo, rows(60)), validation_file=upload(own_zoo, rows(30, seed=8)))
    adapt.run(context, own_zoo.settings)
    counted = own_zoo.store.entry("tickets", 1).lineage["rows"]
    assert (counted["train"] + counted["validation"], counted["heldout"]) == (60, 30)


def test_a_classifier_of_the_hub_can_be_adapted_too(own_zoo: TinyZoo) -> None:
    adapt.run(asked(own_zoo, model="mood", training_file=upload(own_zoo, rows(60))), own_zoo.settings)
    entry = own_zoo.store.entry("tickets", 1)
    assert (entry.base, entry.architecture) == ("mood@1", "distilbert")


def test_an_unknown_target_module_is_refused_with_those_that_exist(own_zoo: TinyZoo) -> None:
    wrong = Hyperparameters(target_modules=("q_proj",))
    context = asked(own_zoo, training_file=upload(own_zoo, rows(60)), hyperparameters=wrong)
    with pytest.raises(InvalidInput, match=r"attention\.self\.query") as caught:
        adapt.run(context, own_zoo.settings)
    assert caught.value.code == "invalid_hyperparameter"


def test_an_adapted_model_without_weights_names_its_base(own_zoo: TinyZoo) -> None:
    file = upload(own_zoo, rows(60))
    adapt.run(asked(own_zoo, training_file=file), own_zoo.settings)
    with pytest.raises(InvalidInput, match="mini@1") as caught:
        adapt.run(asked(own_zoo, job="ftjob-2", model="tickets", suffix="x", training_file=file), own_zoo.settings)
    assert caught.value.code == "not_adaptable"

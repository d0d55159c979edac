"""What a checkpoint in hub layout says about itself; written file by file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from adapters.training import checkpoint as checkpoints
from tests.tiny import write_tokenizer
from zoo.errors import InvalidInput, Unsupported


def write(folder: Path, name: str, content: Any) -> Path:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def modules(folder: Path, *kinds: str, pooling: dict[str, Any] | None = None) -> Path:
    listed = [{"idx": place, "path": f"{place}_{kind}", "type": f"x.models.{kind}"} for place, kind in enumerate(kinds)]
    if pooling is not None:
        write(folder, "1_Pooling/config.json", pooling)
    return write(folder, "modules.json", listed)


@pytest.mark.parametrize("content", ["no json", "[1, 2]", '"text"', "\udce4", "[" * 100_000])
def test_a_settings_file_that_is_no_object_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidInput, match=r"config\.json") as caught:
        checkpoints.read_json(tmp_path / "config.json")
    assert caught.value.code == "invalid_checkpoint"


def test_a_missing_settings_file_is_empty(tmp_path: Path) -> None:
    assert checkpoints.read_json(tmp_path / "config.json") == {}


def test_type_and_class_names_are_read(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"model_type": "bert", "architectures": ["BertModel"]})
    assert checkpoints.architectures(tmp_path) == ("bert", ("BertModel",))


def test_a_checkpoint_without_a_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="model_type"):
        checkpoints.architectures(tmp_path)


def test_remote_code_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"model_type": "bert", "auto_map": {"AutoModel": "x.Model"}})
    with pytest.raises(InvalidInput, match="never") as caught:
        checkpoints.architectures(tmp_path)
    assert caught.value.code == "remote_code"


@pytest.mark.parametrize(
    ("names", "task"),
    [
        (["BertForSequenceClassification"], "text-classification"),
        (["DistilBertForSequenceClassification"], "text-classification"),
        (["BertModel"], "feature-extraction"),
    ],
)
def test_the_task_follows_from_the_head(tmp_path: Path, names: list[str], task: str) -> None:
    write(tmp_path, "config.json", {"model_type": "bert", "architectures": names})
    assert checkpoints.infer_task(tmp_path) == task


@pytest.mark.parametrize(
    ("kind", "name", "task"),
    [
        ("resnet", "ResNetForImageClassification", "image-classification"),
        ("vit", "ViTForImageClassification", "image-classification"),
        ("deit", "DeiTForImageClassificationWithTeacher", "image-classification"),
        ("detr", "DetrForObjectDetection", "object-detection"),
        ("yolos", "YolosForObjectDetection", "object-detection"),
        ("segformer", "SegformerForSemanticSegmentation", "image-segmentation"),
    ],
)
def test_the_task_of_a_picture_checkpoint_follows_from_its_head(
    tmp_path: Path, kind: str, name: str, task: str
) -> None:
    write(tmp_path, "config.json", {"model_type": kind, "architectures": [name]})
    assert checkpoints.infer_task(tmp_path) == task


def test_a_checkpoint_in_the_layout_of_timm_sorts_pictures(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"architecture": "resnet18", "num_classes": 3, "pretrained_cfg": {}})
    assert checkpoints.infer_task(tmp_path) == "image-classification"


def test_a_body_without_a_head_that_prepares_pictures_gives_their_vectors(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"model_type": "vit", "architectures": ["ViTModel"]})
    write(tmp_path, "preprocessor_config.json", {"image_processor_type": "ViTImageProcessor"})
    assert checkpoints.infer_task(tmp_path) == "image-feature-extraction"


def test_remote_code_is_refused_whatever_the_layout(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"architecture": "resnet18", "auto_map": {"AutoModel": "x.Model"}})
    with pytest.raises(InvalidInput) as caught:
        checkpoints.refuse_remote_code(tmp_path)
    assert caught.value.code == "remote_code"


def test_a_sentence_encoder_is_known_by_its_modules(tmp_path: Path) -> None:
    modules(tmp_path, "Transformer", "Pooling")
    write(tmp_path, "config.json", {"model_type": "bert", "architectures": ["BertForMaskedLM"]})
    assert checkpoints.infer_task(tmp_path) == "feature-extraction"


@pytest.mark.parametrize("names", [["BertForNextSentencePrediction"], [], None])
def test_another_head_is_refused_with_what_can_be_imported(tmp_path: Path, names: list[str] | None) -> None:
    write(tmp_path, "config.json", {"model_type": "bert", "architectures": names})
    with pytest.raises(Unsupported, match="it imports audio-classification, .*text-classification"):
        checkpoints.infer_task(tmp_path)


@pytest.mark.parametrize(
    ("config", "tokenizer", "sentence", "tokens"),
    [
        ({"max_position_embeddings": 512}, {}, {}, 512),
        ({"max_position_embeddings": 512}, {"model_max_length": 128}, {}, 128),
        ({"max_position_embeddings": 512}, {"model_max_length": 10**30}, {}, 512),
        ({"max_position_embeddings": 512}, {"model_max_length": 1e30}, {"max_seq_length": 256}, 256),
        ({"max_position_embeddings": 512}, {"model_max_length": None}, {"max_seq_length": None}, 512),
        ({"max_position_embeddings": 64}, {"model_max_length": 512}, {"max_seq_length": 256}, 64),
        ({"model_type": "roberta", "max_position_embeddings": 514}, {}, {}, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514}, {"model_max_length": 384}, {}, 384),
        ({}, {}, {}, 512),
    ],
)
def test_the_smallest_of_all_limits_counts(
    tmp_path: Path, config: dict[str, Any], tokenizer: dict[str, Any], sentence: dict[str, Any], tokens: int
) -> None:
    write(tmp_path, "config.json", config)
    write(tmp_path, "tokenizer_config.json", tokenizer)
    write(tmp_path, "sentence_bert_config.json", sentence)
    assert checkpoints.max_tokens(tmp_path) == tokens


@pytest.mark.parametrize("value", [0, -5, "512", [512], True])
def test_a_limit_that_is_no_length_is_named(tmp_path: Path, value: object) -> None:
    write(tmp_path, "tokenizer_config.json", {"model_max_length": value})
    with pytest.raises(InvalidInput, match="model_max_length") as caught:
        checkpoints.max_tokens(tmp_path)
    assert caught.value.code == "invalid_checkpoint"


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"word_embedding_dimension": 32, "include_prompt": True}, "mean"),
    ],
)
def test_the_pooling_is_read(tmp_path: Path, settings: dict[str, Any], mode: str) -> None:
    assert checkpoints.pooling(modules(tmp_path, "Transformer", "Pooling", pooling=settings)) == (mode, False)


@pytest.mark.parametrize(
    "settings",
    [
        {"pooling_mode_lasttoken": True},
        {"pooling_mode_weightedmean_tokens": True},
        {"pooling_mode_mean_sqrt_len_tokens": True},
        {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True},
        {"pooling_mode": "lasttoken"},
    ],
)
def test_a_pooling_that_cannot_be_served_is_refused_rather_than_replaced(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    with pytest.raises(Unsupported) as caught:
        checkpoints.pooling(modules(tmp_path, "Transformer", "Pooling", pooling=settings))
    assert caught.value.code == "unsupported_pooling"


def test_normalisation_is_a_module(tmp_path: Path) -> None:
    folder = modules(tmp_path, "Transformer", "Pooling", "Normalize", pooling={"pooling_mode_cls_token": True})
    assert checkpoints.pooling(folder) == ("cls", True)


def test_a_module_that_would_be_left_out_is_refused_by_name(tmp_path: Path) -> None:
    folder = modules(tmp_path, "Transformer", "Pooling", "Dense", "Normalize", pooling={})
    with pytest.raises(Unsupported, match="Dense") as caught:
        checkpoints.pooling(folder)
    assert caught.value.code == "unsupported_pooling"


def test_the_poolings_settings_are_read_where_the_modules_say(tmp_path: Path) -> None:
    listed = [{"path": "", "type": "x.Transformer"}, {"path": "pool", "type": "x.Pooling"}]
    write(write(tmp_path, "modules.json", listed), "pool/config.json", {"pooling_mode_max_tokens": True})
    assert checkpoints.pooling(tmp_path) == ("max", False)


def test_a_module_outside_the_checkpoint_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    write(tmp_path, "config.json", {"pooling_mode_cls_token": True})
    folder = write(tmp_path / "checkpoint", "modules.json", [{"path": "..", "type": "x.Pooling"}])
    assert checkpoints.pooling(folder) == ("mean", False)


def test_what_is_done_to_a_text_first_is_read_from_its_settings(tmp_path: Path) -> None:
    assert checkpoints.prompts(tmp_path) == {}
    write(tmp_path, "config_sentence_transformers.json", {"prompts": {"query": "", "document": "of: "}})
    write(tmp_path, "sentence_bert_config.json", {"max_seq_length": 64, "do_lower_case": True})
    assert checkpoints.prompts(tmp_path) == {"prompts": {"query": "", "document": "of: "}, "lower_case": True}
    write(tmp_path, "config_sentence_transformers.json", {"prompts": {"q": "? "}, "default_prompt_name": "q"})
    assert checkpoints.prompts(tmp_path)["default_prompt"] == "q"


@pytest.mark.parametrize(
    "settings",
    [{"prompts": ["q"]}, {"prompts": {"q": 5}}, {"default_prompt_name": "q"}, {"default_prompt_name": ["q"]}],
)
def test_prompts_that_cannot_be_read_are_named(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="config_sentence_transformers") as caught:
        checkpoints.prompts(write(tmp_path, "config_sentence_transformers.json", settings))
    assert caught.value.code == "invalid_checkpoint"


def test_a_checkpoint_that_does_not_pool_its_prompts_is_refused(tmp_path: Path) -> None:
    folder = modules(tmp_path, "Transformer", "Pooling", pooling={"include_prompt": False})
    assert checkpoints.prompts(folder) == {}
    write(folder, "config_sentence_transformers.json", {"prompts": {"q": "? "}})
    with pytest.raises(Unsupported) as caught:
        checkpoints.prompts(folder)
    assert caught.value.code == "unsupported_pooling"


def test_an_encoder_without_modules_is_pooled_by_the_mean_and_not_normalised(tmp_path: Path) -> None:
    assert checkpoints.pooling(tmp_path) == ("mean", False)


@pytest.mark.parametrize("content", ["no json", "{}}", "[1]", '[{"path": "1_Pooling"}]', "5"])
def test_damaged_modules_are_named(tmp_path: Path, content: str) -> None:
    with pytest.raises(InvalidInput, match=r"modules\.json") as caught:
        checkpoints.pooling(write(tmp_path, "modules.json", content))
    assert caught.value.code == "invalid_checkpoint"


def test_a_tokenizer_that_is_there_is_left_alone(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    before = (tmp_path / "tokenizer.json").read_bytes()
    checkpoints.ensure_tokenizer(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == before


def test_a_tokenizer_is_made_of_a_vocabulary(tmp_path: Path) -> None:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "parcel", "late"]
    write(tmp_path, "vocab.txt", "\n".join(words) + "\n")
    write(tmp_path, "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    write(tmp_path, "config.json", {"model_type": "bert"})
    checkpoints.ensure_tokenizer(tmp_path)
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode("Parcel late").ids == [2, 5, 6, 3]


def test_a_checkpoint_without_any_vocabulary_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"model_type": "bert"})
    with pytest.raises(InvalidInput, match=r"tokenizer\.json") as caught:
        checkpoints.ensure_tokenizer(tmp_path)
    assert caught.value.code == "invalid_checkpoint"


def test_an_unknown_model_type_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, "config.json", {"model_type": "no-such-type"})
    with pytest.raises(Unsupported, match="no-such-type") as caught:
        checkpoints.load_config(tmp_path)
    assert caught.value.code == "unsupported_architecture"

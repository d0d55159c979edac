"""Whisper's layouts: every type of number that CTranslate2 writes, the hub's, and a clear word for damaged files."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import WhisperForConditionalGeneration

from adapters.training.layouts.ctranslate2 import is_ctranslate2, read_arrays
from adapters.training.layouts.whisper import read_whisper
from tests.tiny_whisper import packed, tiny_whisper, write_ctranslate2, write_whisper
from zoo.errors import InvalidInput, Unsupported

# Largest difference of logits around 1: float16 keeps three digits, int8 two.
KINDS = {"float32": 1e-5, "float16": 5e-3, "int8": 0.1}


@pytest.fixture(scope="module")
def model() -> WhisperForConditionalGeneration:
    return tiny_whisper()


def logits(model: WhisperForConditionalGeneration) -> torch.Tensor:
    features = torch.randn(2, 8, 60, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        answer: torch.Tensor = model(features, decoder_input_ids=torch.tensor([[1, 4, 7], [1, 8, 2]])).logits
    return answer


@pytest.mark.parametrize("kind", KINDS)
def test_a_ctranslate2_folder_answers_as_the_network_it_was_made_of(
    model: WhisperForConditionalGeneration, tmp_path: Path, kind: str
) -> None:
    read = read_whisper(write_ctranslate2(tmp_path, model, kind=kind))
    torch.testing.assert_close(logits(read.model), logits(model), atol=KINDS[kind], rtol=0)
    assert float(logits(model).std()) > 0.5


def test_rules_of_decoding_and_alignment_heads_come_from_the_folder(
    model: WhisperForConditionalGeneration, tmp_path: Path
) -> None:
    read = read_whisper(write_ctranslate2(tmp_path, model))
    assert (read.suppressed, read.suppressed_first) == ((3, 5), (2, 9))
    assert read.alignment_heads == ((0, 1), (1, 0))


def test_the_hubs_layout_gives_the_same(model: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    read = read_whisper(write_whisper(tmp_path, model))
    torch.testing.assert_close(logits(read.model), logits(model))
    assert (read.suppressed, read.suppressed_first, read.alignment_heads) == ((3, 5), (2, 9), ((0, 1), (1, 0)))


def test_the_output_is_tied_to_the_embeddings(model: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    read = read_whisper(write_ctranslate2(tmp_path, model))
    assert read.model.proj_out.weight.data_ptr() == read.model.model.decoder.embed_tokens.weight.data_ptr()


def test_bfloat16_is_the_upper_half_of_a_float32(tmp_path: Path) -> None:
    arrays = {"a": np.array([0x3F80, 0xC000], dtype=np.uint16).view(np.int16)}
    data = bytearray(packed("WhisperSpec", arrays, {}))
    place = data.index(struct.pack("<BI", 2, 4))
    data[place] = 5
    (tmp_path / "model.bin").write_bytes(data)
    (values,) = (tensor for _, tensor in read_arrays(tmp_path / "model.bin").weights())
    assert values.tolist() == [1.0, -2.0]


@pytest.mark.parametrize("size", [0, 3, 30, 200, 2000])
def test_a_file_that_is_cut_off_is_refused(model: WhisperForConditionalGeneration, tmp_path: Path, size: int) -> None:
    path = write_ctranslate2(tmp_path, model) / "model.bin"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InvalidInput, match=r"model\.bin"):
        read_arrays(path)


@pytest.mark.parametrize("old", [struct.pack("<BI", 4, 32), struct.pack("<BI", 0, 64)])
def test_an_array_of_an_unknown_type_or_another_size_is_named(
    model: WhisperForConditionalGeneration, tmp_path: Path, old: bytes
) -> None:
    path = write_ctranslate2(tmp_path, model, kind="float16" if old[0] == 4 else "float32") / "model.bin"
    data = path.read_bytes()
    path.write_bytes(data.replace(old, struct.pack("<B", 9) + old[1:], 1))
    with pytest.raises(InvalidInput, match="decoder/layer_0/attention/layer_norm/beta"):
        read_arrays(path)


def test_whole_numbers_without_scales_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(packed("WhisperSpec", {"a/weight": np.ones((2, 2), dtype=np.int8)}, {}))
    with pytest.raises(InvalidInput, match="weight_scale for each row"):
        list(read_arrays(tmp_path / "model.bin").weights())


def test_a_missing_weight_is_named(model: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    path = write_ctranslate2(tmp_path, model) / "model.bin"
    path.write_bytes(path.read_bytes().replace(b"layer_1/ffn/linear_0/bias", b"layer_1/ffn/linear_7/bias"))
    with pytest.raises(InvalidInput, match=r"lacks weights .*layers\.1\.fc1\.bias"):
        read_whisper(tmp_path)


def test_a_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(packed("TransformerSpec", {}, {}))
    assert is_ctranslate2(tmp_path)
    with pytest.raises(Unsupported, match="TransformerSpec"):
        read_whisper(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04rest of an archive", b"\x80\x02a pickle", b"text of any kind"])
def test_other_files_of_that_name_are_not_taken_for_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    assert not is_ctranslate2(tmp_path)


def test_heads_that_do_not_divide_the_width_are_refused(model: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    path = write_ctranslate2(tmp_path, model) / "model.bin"
    old = b"encoder/num_heads\0" + struct.pack("<BBI", 0, 2, 2)
    path.write_bytes(path.read_bytes().replace(old + b"\x02\0", old + b"\x03\0"))
    with pytest.raises(InvalidInput, match="attention heads"):
        read_whisper(tmp_path)


def test_rules_that_are_no_lists_count_as_none(model: WhisperForConditionalGeneration, tmp_path: Path) -> None:
    folder = write_ctranslate2(tmp_path, model)
    (folder / "config.json").write_text(json.dumps({"suppress_ids": [-1], "alignment_heads": "all"}))
    read = read_whisper(folder)
    assert (read.suppressed, read.suppressed_first, read.alignment_heads) == ((), (), ())

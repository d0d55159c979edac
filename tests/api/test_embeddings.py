"""Embeddings in OpenAI's form."""

from __future__ import annotations

import base64
import struct

import httpx


def test_vectors_come_as_numbers_in_order(client: httpx.Client) -> None:
    body = client.post("/v1/embeddings", json={"model": "minilm", "input": ["ab", "a b c"]}).json()
    assert body["object"] == "list"
    assert body["model"] == "minilm"
    assert [item["index"] for item in body["data"]] == [0, 1]
    assert [item["embedding"] for item in body["data"]] == [[2.0, 1.0, 0.5], [5.0, 3.0, 0.5]]
    assert body["usage"] == {"prompt_tokens": 7, "total_tokens": 7}


def test_base64_is_little_endian_float32(client: httpx.Client) -> None:
    asked = {"model": "minilm", "input": "ab", "encoding_format": "base64"}
    text = client.post("/v1/embeddings", json=asked).json()["data"][0]["embedding"]
    assert struct.unpack("<3f", base64.b64decode(text, validate=True)) == (2.0, 1.0, 0.5)


def test_the_models_own_dimensions_may_be_asked_for(client: httpx.Client) -> None:
    asked = {"model": "minilm", "input": "ab", "dimensions": 3, "user": "someone"}
    assert client.post("/v1/embeddings", json=asked).status_code == 200


def test_an_answer_names_model_version_and_precision(client: httpx.Client) -> None:
    headers = client.post("/v1/embeddings", json={"model": "minilm@1", "input": "ab"}).headers
    assert (headers["x-model"], headers["x-model-version"], headers["x-precision"]) == ("minilm", "1", "fp32")

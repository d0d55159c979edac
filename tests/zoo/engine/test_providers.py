"""Hardware by name: what is offered is used, the CPU always stands behind it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.zoo.engine.test_session import X, graph  # noqa: F401
from zoo.engine.providers import chosen_providers
from zoo.engine.session import Placement, Session, offered_providers
from zoo.settings import Settings

CPU, CUDA, OPENVINO = "CPUExecutionProvider", "CUDAExecutionProvider", "OpenVINOExecutionProvider"


def test_what_is_offered_is_chosen_best_first_and_the_cpu_comes_last() -> None:
    assert chosen_providers([CPU, OPENVINO, CUDA, "AzureExecutionProvider"]) == (CUDA, OPENVINO, CPU)
    assert chosen_providers([CPU]) == (CPU,)


def test_the_setting_chooses_and_orders() -> None:
    offered = [CUDA, OPENVINO, CPU]
    assert chosen_providers(offered, "openvino, cuda") == (OPENVINO, CUDA, CPU)
    assert chosen_providers(offered, "cpu") == (CPU,)


def test_what_is_wanted_and_not_offered_is_told_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert chosen_providers([OPENVINO, CPU], "cuda,openvino") == (OPENVINO, CPU)
    (record,) = caplog.records
    assert (record.levelno, record.__dict__["providers"]) == (logging.WARNING, "cuda")


@pytest.mark.parametrize("text", ["", "cpu", "cuda,cpu", "openvino, coreml"])
def test_known_names_are_taken(text: str) -> None:
    assert Settings(_env_file=None, providers=text).providers == text


@pytest.mark.parametrize("text", ["gpu", "cuda;cpu", "cuda,", "CUDA"])
def test_unknown_names_are_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValidationError, match="providers"):
        Settings(_env_file=None, providers=text)


@pytest.mark.parametrize("offered", [name for name in offered_providers() if name != "AzureExecutionProvider"])
def test_a_graph_answers_the_same_on_all_hardware_that_is_here(graph: Path, offered: str) -> None:  # noqa: F811
    placement = Placement(tuple(dict.fromkeys((offered, CPU))))
    scaled, shifted = Session(graph, threads=1, placement=placement).run({"x": X})
    assert scaled.tolist() == [pytest.approx([2.0, 6.0])]
    assert shifted.tolist() == [pytest.approx([3.0, 7.0])]


def test_a_provider_that_cannot_load_leaves_the_graph_to_the_cpu_with_one_line(
    graph: Path,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    if CUDA in offered_providers():
        pytest.skip("the provider is here")
    session = Session(graph, threads=1, placement=Placement((CUDA, CPU)))
    assert session.provider == "cpu"
    assert len(caplog.records) == 1
    assert session.run({"x": X})[0].tolist() == [[2.0, 6.0]]

"""A body learns to find answers in texts, and is written as it was learnt."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from adapters.pretraining.passage_answers import Row, learnt, measured, read, write
from adapters.pretraining.passage_answers_training import Asked, Run, asked, batches, cut
from adapters.pretraining.texts import plain_tokenizer
from tests.tiny_language import write_encoder

RUN = Run(rank=4, longest=48, batch=256, steps=150, warm_up=5, rate=1e-2, read=(6, 8), read_last=(8, 16), whole=0.5)
TEXT = "my parcel was late again and the card is lost"


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoder", "bert")


def row(question: str, answer: str, text: str = TEXT) -> Row:
    start = text.index(answer)
    return Row(question, text, ((start, start + len(answer)),))


def test_answers_are_learnt_and_written(encoder: Path, tmp_path: Path) -> None:
    rows, folder = [row("parcel", "late"), row("card", "lost")] * 8, tmp_path / "starter"
    state = tmp_path / "state.safetensors"
    new, _ = learnt(encoder, rows, replace(RUN, steps=1, rate=0.0), tmp_path / "none.safetensors")
    write(new, RUN, folder)
    before = measured(folder, encoder, rows)
    learner, seconds = learnt(encoder, rows, RUN, state)
    write(learner, RUN, folder)
    after = measured(folder, encoder, rows)
    assert before["exact_match"] < 0.6 and after["exact_match"] == 1.0 and after["rows"] == 16 and seconds > 0
    config = json.loads((folder / "config.json").read_text())
    assert config["max_answer_len"] == RUN.longest_answer and config["handle_impossible_answer"] is False


def test_a_row_holds_its_answer_at_any_place_of_a_part_of_its_text() -> None:
    asked_ = Asked([7, 8], list(range(100, 200)), [(40, 42)])
    chance = np.random.default_rng(0)
    begins = set()
    for _ in range(300):
        made = cut(asked_, (1, 2), (10, 12), 0.0, chance)
        assert made.ids.tolist()[: made.begin] == [1, 7, 8, 2] and made.ids.tolist()[-1] == 2
        assert 10 <= len(made.ids) - made.begin - 1 <= 12
        assert made.ids.tolist()[made.first : made.last + 1] == [140, 141, 142]
        begins.add(made.ids.tolist()[made.begin])
    assert begins == set(range(131, 141))


def test_a_part_without_an_answer_points_at_the_very_first_token() -> None:
    asked_ = Asked([7, 8], list(range(100, 200)), [(40, 42), (41, 44)])
    chance = np.random.default_rng(0)
    for _ in range(100):
        made = cut(asked_, (1, 2), (50, 90), 1.0, chance)
        assert made.first == made.last == 0
        assert set(made.ids.tolist()[made.begin : -1]) <= set(range(145, 200)) and len(made.ids) - made.begin - 1 >= 50


def test_a_text_that_is_shorter_than_asked_for_is_whole() -> None:
    made = cut(Asked([7], [100, 101, 102], [(0, 0), (2, 2)]), (1, 2), (8, 9), 1.0, np.random.default_rng(0))
    assert made.ids.tolist() == [1, 7, 2, 100, 101, 102, 2] and made.first == made.last


def test_long_answers_are_left_out(encoder: Path) -> None:
    spans = [(0, len(TEXT)), (TEXT.index("late"), TEXT.index("late") + 4)]
    run = replace(RUN, longest_answer=4)
    tokenizer = plain_tokenizer(encoder)
    found = asked(tokenizer, [("why", TEXT, spans), ("why", TEXT, spans[:1])], run)
    assert [len(one.answers) for one in found] == [1]
    first, last = found[0].answers[0]
    assert tokenizer.decode(found[0].text[first : last + 1]).replace(" ", "") == "late"


def test_a_batch_is_no_larger_than_it_may_be_and_the_last_steps_read_more() -> None:
    rows = [Asked([7], list(range(100, 140)), [(20, 20)])] * 40
    run = replace(RUN, steps=60)
    coming = batches(rows, (1, 2), run)
    lengths = []
    for _ in range(run.steps):
        inputs, inside, places = next(coming)
        ids = inputs["input_ids"]
        assert ids.numel() <= run.batch
        assert (ids.gather(1, places) == 120).logical_or(places == 0).all() and inside.gather(1, places).all()
        lengths.append(int(inside.sum(1).max()) - 1)
    assert max(lengths[:20]) <= 8 < max(lengths[-20:]) <= 16


def test_rows_are_read_as_squad_has_them(tmp_path: Path) -> None:
    told = {"question": "Where?", "context": "In Ulm.", "answers": {"text": ["Ulm", "In Ulm"], "answer_start": [3, 0]}}
    path = tmp_path / "train.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps(told) + "\n").encode()))
    assert [one.answers for one in read(path)] == [["Ulm", "In Ulm"]]

"""Rollouts as they are kept: begun, changed and ended in one write of the alias's table, seen by every process."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tests.zoo.catalogue.drafts import draft, publish
from zoo.catalogue.alias import Alias, closed, promoted
from zoo.catalogue.plan import Plan, start
from zoo.catalogue.rollout import Rule
from zoo.catalogue.store import Store
from zoo.errors import Conflict, InvalidInput, ModelNotFound, NotFound


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """``tickets`` in three versions, of which ``live`` means the first."""
    made = Store(tmp_path)
    for _ in range(3):
        publish(made)
    made.set_alias("tickets", "live", 1)
    return made


def publish_as(store: Store, **changes: object) -> int:
    with store.staging() as staged:
        (staged / "model.onnx").write_bytes(b"graph")
        return store.publish(staged, draft().model_copy(update=changes)).version


def live(home: Path) -> Alias:
    return Store(home).alias_table("tickets")["live"]


def test_a_rollout_is_seen_by_every_process(store: Store, tmp_path: Path) -> None:
    start(store, "tickets", "live", Plan(canary=2, weight=10, shadow=3, rule=Rule(min_requests=50)))
    rollout = live(tmp_path).running
    assert (rollout.canary, rollout.weight, rollout.shadow, rollout.rule.min_requests) == (2, 10, 3, 50)
    assert live(tmp_path).version == 1
    assert Store(tmp_path).aliases("tickets") == {"live": 1}


def test_a_table_of_plain_numbers_is_read_and_stays_one_without_rollouts(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "models" / "tickets" / "aliases.json"
    path.write_text('{"live": 2, "old": 1}', encoding="utf-8")
    assert Store(tmp_path).aliases("tickets") == {"live": 2, "old": 1}
    store.set_alias("tickets", "old", 3)
    assert json.loads(path.read_text(encoding="utf-8")) == {"live": 2, "old": 3}


def test_promotion_moves_the_alias_and_ends_the_rollout_in_one_write(store: Store, tmp_path: Path) -> None:
    start(store, "tickets", "live", Plan(canary=2, weight=10))
    store.change_alias("tickets", "live", lambda found: promoted(found, reason="Good.", figures={"canary": {}}))
    found = live(tmp_path)
    assert (found.version, found.rollout) == (2, None)
    assert found.last is not None
    assert (found.last.outcome, found.last.by, found.last.reason, found.last.stable) == (
        "promoted",
        "request",
        "Good.",
        1,
    )


def test_a_shadow_alone_cannot_be_promoted(store: Store, tmp_path: Path) -> None:
    start(store, "tickets", "live", Plan(shadow=2))
    with pytest.raises(Conflict):
        store.change_alias("tickets", "live", lambda found: promoted(found, reason="", figures={}))
    assert live(tmp_path).running.shadow == 2


def test_what_does_not_run_can_be_neither_promoted_nor_ended(store: Store) -> None:
    for change in (
        lambda found: promoted(found, reason="", figures={}),
        lambda found: closed(found, "rolled_back", ""),
    ):
        with pytest.raises(NotFound) as caught:
            store.change_alias("tickets", "live", change)
        assert caught.value.code == "no_rollout"


def test_an_alias_that_is_set_ends_its_rollout_and_says_so(store: Store, tmp_path: Path) -> None:
    start(store, "tickets", "live", Plan(canary=2, weight=10))
    store.set_alias("tickets", "live", 3)
    found = live(tmp_path)
    assert (found.version, found.rollout) == (3, None)
    assert found.last is not None
    assert (found.last.outcome, found.last.reason) == ("ended", "The alias was set to version 3.")


@pytest.mark.parametrize("deleted", [2, 3])
def test_deleting_a_version_ends_the_rollout_that_names_it(store: Store, tmp_path: Path, deleted: int) -> None:
    start(store, "tickets", "live", Plan(canary=2, weight=10, shadow=3))
    store.delete("tickets", deleted)
    found = live(tmp_path)
    assert (found.version, found.rollout) == (1, None)
    assert found.last is not None and found.last.reason == f"Version {deleted} was deleted."


def test_deleting_another_version_leaves_a_rollout_alone(store: Store, tmp_path: Path) -> None:
    start(store, "tickets", "live", Plan(canary=2, weight=10))
    store.delete("tickets", 3)
    assert live(tmp_path).running.canary == 2


def test_the_same_versions_keep_their_counts_and_others_begin_anew(store: Store, tmp_path: Path) -> None:
    start(store, "tickets", "live", Plan(canary=2, weight=10))
    first = live(tmp_path).running
    start(store, "tickets", "live", Plan(canary=2, weight=50))
    assert (live(tmp_path).running.id, live(tmp_path).running.weight) == (first.id, 50)
    start(store, "tickets", "live", Plan(canary=3, weight=50))
    assert live(tmp_path).running.id != first.id


@pytest.mark.parametrize(
    ("plan", "param"),
    [
        (Plan(), "canary"),
        (Plan(weight=10), "canary"),
        (Plan(shadow=2, weight=10), "weight"),
        (Plan(canary=2), "weight"),
        (Plan(canary=1, weight=10), "canary"),
        (Plan(shadow=1), "shadow"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_by_field(store: Store, plan: Plan, param: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        start(store, "tickets", "live", plan)
    assert caught.value.param == param
    assert store.alias_table("tickets")["live"].rollout is None


@pytest.mark.parametrize(("plan", "param"), [(Plan(canary=9, weight=10), "canary"), (Plan(shadow=9), "shadow")])
def test_a_missing_version_is_not_found_and_those_that_exist_are_named(store: Store, plan: Plan, param: str) -> None:
    with pytest.raises(ModelNotFound, match=r"tickets has no version 9 .* it has 1, 2, 3\.") as caught:
        start(store, "tickets", "live", plan)
    assert caught.value.param == param


def test_an_alias_has_to_be_there_before_it_rolls_out(store: Store) -> None:
    with pytest.raises(ModelNotFound, match="has no alias next: set it first"):
        start(store, "tickets", "next", Plan(canary=2, weight=10))


def test_a_version_of_another_task_is_refused(store: Store) -> None:
    other = publish_as(store, task="token-classification")
    with pytest.raises(InvalidInput, match="tickets@4 answers token-classification") as caught:
        start(store, "tickets", "live", Plan(shadow=other))
    assert (caught.value.code, caught.value.param) == ("wrong_task", "shadow")


def test_other_labels_and_smaller_limits_are_warned_of_without_naming_labels(store: Store) -> None:
    stable = publish_as(store, limits={"max_tokens": 512})
    store.set_alias("tickets", "live", stable)
    other = publish_as(store, labels=("billing", "praise", "secret"), limits={"max_tokens": 128})
    _, warnings = start(store, "tickets", "live", Plan(canary=other, weight=10, shadow=other))
    assert warnings == [
        "tickets@5 has other labels than tickets@4: it lacks 1 and adds 2.",
        "tickets@5 takes less than tickets@4: max_tokens is 128, not 512.",
    ]


def test_changes_of_two_aliases_at_once_are_both_kept(store: Store, tmp_path: Path) -> None:
    store.set_alias("tickets", "next", 1)
    entered, go = threading.Event(), threading.Event()

    def slow(found: Alias) -> Alias:
        entered.set()
        assert go.wait(30)
        return found.model_copy(update={"version": 3})

    changing = threading.Thread(target=store.change_alias, args=("tickets", "live", slow))
    changing.start()
    assert entered.wait(30)
    second = threading.Thread(target=Store(tmp_path).set_alias, args=("tickets", "next", 2))
    second.start()
    go.set()
    changing.join(30)
    second.join(30)
    assert store.aliases("tickets") == {"live": 3, "next": 2}

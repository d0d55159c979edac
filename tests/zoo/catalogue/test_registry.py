"""The registry: what a reference means, what a search finds, what a mistyped name is answered with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.zoo.catalogue.drafts import folder_of, offer, publish
from zoo.catalogue.registry import Registry
from zoo.catalogue.store import Store
from zoo.errors import ArtifactCorrupt, InvalidInput, ModelNotFound


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def registry(store: Store) -> Registry:
    offers = [
        offer("minilm", title="MiniLM sentence embeddings"),
        offer("bert-base-uncased", title="BERT base", task="fill-mask"),
        offer("opus-mt-en-de", title="Marian, English to German", task="translation"),
    ]
    return Registry(store, {entry.name: entry for entry in offers})


def test_a_bare_name_means_the_newest_version_until_live_points_elsewhere(store: Store, registry: Registry) -> None:
    for _ in range(3):
        publish(store)
    assert registry.resolve("tickets").version == 3
    store.set_alias("tickets", "live", 2)
    assert registry.resolve("tickets").version == 2


def test_versions_and_aliases_are_asked_for_after_an_at(store: Store, registry: Registry) -> None:
    for _ in range(2):
        publish(store)
    store.set_alias("tickets", "canary", 1)
    assert registry.resolve("tickets@2").version == 2
    assert registry.resolve("tickets@canary").version == 1


@pytest.mark.parametrize(
    "reference",
    ["../x", "..%2fx", "%2e%2e", "a%00b", "a\0b", "a" * 65, "\uff0e\uff0e/x", "CON", "", "@1", "a@", "a@0", "a@007"]
    + ["a@1@2", "a@../b", "a@LIVE", "a b", "http://169.254.169.254/", "a@" + "9" * 30],
)
def test_an_id_that_cannot_be_one_is_refused_without_a_look_at_the_disk(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    for call in ("scandir", "listdir", "open", "stat", "lstat"):
        monkeypatch.setattr(os, call, lambda *_, **__: pytest.fail("touched the disk"))
    with pytest.raises(InvalidInput) as caught:
        registry.resolve(reference)
    assert (caught.value.code, caught.value.param) == ("invalid_id", "model")
    assert not reference or len(reference) < 3 or reference not in caught.value.message


def test_a_reserved_word_of_other_systems_is_merely_unknown(registry: Registry) -> None:
    with pytest.raises(ModelNotFound):
        registry.resolve("con")


def test_a_mistyped_name_is_answered_with_the_nearest_ones(store: Store, registry: Registry) -> None:
    publish(store)
    with pytest.raises(ModelNotFound) as caught:
        registry.resolve("tikets")
    assert caught.value.suggestions == ("tickets",)
    assert caught.value.message == "There is no model named tikets. Did you mean tickets?"


def test_part_of_a_name_is_enough_for_a_suggestion(registry: Registry) -> None:
    with pytest.raises(ModelNotFound) as caught:
        registry.resolve("bert")
    assert caught.value.suggestions == ("bert-base-uncased",)


def test_a_catalogue_model_that_is_not_here_says_how_to_get_it(registry: Registry) -> None:
    with pytest.raises(ModelNotFound) as caught:
        registry.resolve("minilm")
    assert caught.value.message == "minilm is in the catalogue but not pulled yet: run `zoo pull minilm`."


def test_an_unknown_version_or_alias_is_answered_with_those_that_exist(store: Store, registry: Registry) -> None:
    for _ in range(2):
        publish(store)
    store.set_alias("tickets", "live", 1)
    with pytest.raises(ModelNotFound) as caught:
        registry.resolve("tickets@9")
    assert caught.value.message == "tickets has no version 9; it has 1 and 2."
    assert caught.value.suggestions == ("tickets@2", "tickets@1")
    with pytest.raises(ModelNotFound) as caught:
        registry.resolve("tickets@life")
    assert caught.value.message == "tickets has no alias life; its aliases are live."
    assert caught.value.suggestions == ("tickets@live",)


def test_what_another_process_publishes_is_seen_at_once(tmp_path: Path, registry: Registry) -> None:
    assert [item.name for item in registry.listings(task="text-classification")] == []
    publish(Store(tmp_path))
    assert [item.name for item in registry.listings(task="text-classification")] == ["tickets"]
    Store(tmp_path).delete("tickets", None)
    assert [item.name for item in registry.listings(task="text-classification")] == []


def test_a_listing_says_what_is_here_and_what_can_be_had(store: Store, registry: Registry) -> None:
    publish(store, "minilm")
    publish(store)
    store.set_alias("tickets", "live", 1)
    by_name = {item.name: item for item in registry.listings()}
    assert list(by_name) == ["bert-base-uncased", "minilm", "opus-mt-en-de", "tickets"]
    assert [item.status for item in by_name.values()] == ["available", "ready", "available", "ready"]
    tickets = by_name["tickets"]
    assert (tickets.task, tickets.modality, tickets.licence) == ("text-classification", "text", "apache-2.0")
    assert (tickets.base, tickets.versions, tickets.aliases, tickets.offer) == ("minilm@1", (1,), {"live": 1}, None)
    assert by_name["bert-base-uncased"].base is None
    assert registry.listing("tickets") == tickets


def test_a_corrupt_version_is_reported_and_the_last_good_one_serves(
    store: Store, registry: Registry, tmp_path: Path
) -> None:
    publish(store)
    os.truncate(folder_of(tmp_path, publish(store)) / "manifest.json", 50)
    listing = registry.listing("tickets")
    assert (listing.versions, listing.broken, listing.status) == ((1,), (2,), "ready")
    assert registry.resolve("tickets").version == 1
    with pytest.raises(ArtifactCorrupt):
        registry.resolve("tickets@2")


def test_a_model_of_corrupt_versions_alone_has_failed_and_breaks_no_other(
    store: Store, registry: Registry, tmp_path: Path
) -> None:
    publish(store, "other")
    (folder_of(tmp_path, publish(store)) / "manifest.json").unlink()
    assert [(item.name, item.status) for item in registry.listings(words="tickets")] == [("tickets", "failed")]
    with pytest.raises(ArtifactCorrupt):
        registry.resolve("tickets")
    assert registry.resolve("other").version == 1


def test_live_on_a_corrupt_version_is_not_answered_by_another(store: Store, registry: Registry, tmp_path: Path) -> None:
    publish(store)
    second = publish(store)
    store.set_alias("tickets", "live", 2)
    (folder_of(tmp_path, second) / "manifest.json").unlink()
    with pytest.raises(ArtifactCorrupt):
        registry.resolve("tickets")


def test_a_damaged_alias_file_hides_no_model(store: Store, registry: Registry, tmp_path: Path) -> None:
    publish(store)
    (tmp_path / "models" / "tickets" / "aliases.json").write_text("[]", encoding="utf-8")
    assert registry.listing("tickets").versions == (1,)
    assert registry.resolve("tickets@1").version == 1


def test_every_word_of_a_search_has_to_match(registry: Registry) -> None:
    assert [item.name for item in registry.listings(words="german MARIAN")] == ["opus-mt-en-de"]
    assert registry.listings(words="german bert mini") == []


def test_a_name_ranks_before_a_mere_mention(registry: Registry) -> None:
    # All three are of the architecture bert, one is called so.
    found = [item.name for item in registry.listings(words="bert")]
    assert found[0] == "bert-base-uncased"
    assert len(found) == 3


def test_a_search_can_be_narrowed_by_task_and_modality(registry: Registry) -> None:
    assert [item.name for item in registry.listings(task="translation")] == ["opus-mt-en-de"]
    assert registry.listings(modality="audio") == []
    assert len(registry.listings(modality="text", words="  ")) == 3


def test_an_endless_search_is_refused(registry: Registry) -> None:
    with pytest.raises(InvalidInput):
        registry.listings(words="a " * 101)


def test_the_listing_of_an_unknown_name_is_not_found(registry: Registry) -> None:
    with pytest.raises(ModelNotFound):
        registry.listing("minilmm")
    with pytest.raises(InvalidInput):
        registry.listing("minilm@1")

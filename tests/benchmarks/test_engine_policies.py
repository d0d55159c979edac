"""How rival policies cut batches from a queue."""

from __future__ import annotations

from collections import deque

from benchmarks.engine_policies import Row, by_characters, by_count, by_tokens


def queue_of(*texts: str) -> deque[Row]:
    """Rows of one token a character."""
    return deque(Row(text, [7] * len(text), arrived=0.0) for text in texts)


def test_a_count_takes_rows_as_they_came() -> None:
    queue = queue_of("aaaa", "b", "ccc")
    (batch,) = by_count(2)(queue)
    assert [row.item for row in batch] == ["aaaa", "b"]
    assert [row.item for row in queue] == ["ccc"]


def test_a_budget_of_tokens_counts_the_padding() -> None:
    queue = queue_of("aa", "bb", "cccc", "d")
    (batch,) = by_tokens(8)(queue)
    assert [row.item for row in batch] == ["aa", "bb"]


def test_a_row_above_the_budget_runs_alone() -> None:
    queue = queue_of("aaaaaaaaaa", "b")
    (batch,) = by_tokens(8)(queue)
    assert [row.item for row in batch] == ["aaaaaaaaaa"]


def test_characters_sort_only_where_several_batches_wait() -> None:
    sort = by_characters(2)
    assert [[row.item for row in batch] for batch in sort(queue_of("aaa", "b", "cc"))] == [["aaa", "b"]]
    waiting = queue_of("aaaa", "b", "ccc", "dd", "eeeee")
    assert [[row.item for row in batch] for batch in sort(waiting)] == [["b", "dd"], ["ccc", "aaaa"]]
    assert [row.item for row in waiting] == ["eeeee"]

"""Answers are kept within their bytes, and only as long as that is worth it."""

from __future__ import annotations

from zoo.engine.answer_cache import OVERHEAD, REST, WINDOW, AnswerCache


def ask(cache: AnswerCache[str], key: str, *, seconds: float = 0.01, cost: float = 0.001) -> bool:
    """A question as the user of a cache handles it; whether it was answered from there."""
    if not cache.awake():
        return False
    hit = cache.get(key) is not None
    if not hit:
        cache.put(key, "answer", size=100, seconds=seconds)
    cache.spent(cost)
    return hit


def test_an_answer_is_found_again() -> None:
    cache: AnswerCache[str] = AnswerCache(100_000)
    assert [ask(cache, "a"), ask(cache, "b"), ask(cache, "a")] == [False, False, True]
    assert (cache.hits, cache.misses, cache.bytes) == (1, 2, 2 * (100 + OVERHEAD))


def test_the_least_recently_asked_for_leaves_when_the_bytes_are_used_up() -> None:
    cache: AnswerCache[str] = AnswerCache(10 * (100 + OVERHEAD))
    for number in range(10):
        ask(cache, str(number))
    assert ask(cache, "0")
    ask(cache, "one more")
    assert (ask(cache, "0"), cache.get("1")) == (True, None)
    assert cache.bytes == 10 * (100 + OVERHEAD)


def test_an_answer_larger_than_a_tenth_of_all_is_not_kept() -> None:
    cache: AnswerCache[str] = AnswerCache(10_000)
    cache.put("large", "answer", size=1000, seconds=1.0)
    assert (cache.get("large"), cache.bytes) == (None, 0)


def test_a_cache_of_no_bytes_is_never_asked() -> None:
    cache: AnswerCache[str] = AnswerCache(0)
    assert (ask(cache, "a"), ask(cache, "a"), cache.on, cache.misses) == (False, False, False, 0)


def test_it_turns_itself_off_when_it_costs_more_than_it_saves_and_tries_again_later() -> None:
    cache: AnswerCache[str] = AnswerCache(10_000_000)
    for number in range(WINDOW):
        ask(cache, str(number))
    assert (cache.on, cache.bytes) == (False, 0)
    for _ in range(REST - 1):
        assert not ask(cache, "same")
    assert not cache.on
    ask(cache, "same")
    assert cache.on
    assert ask(cache, "same")


def test_it_stays_on_while_its_hits_save_more_than_all_questions_cost() -> None:
    cache: AnswerCache[str] = AnswerCache(10_000_000)
    for number in range(3 * WINDOW):
        ask(cache, str(number % 500))
    assert cache.on


def test_few_hits_of_a_slow_model_are_worth_it_and_many_of_a_quick_one_are_not() -> None:
    slow: AnswerCache[str] = AnswerCache(10_000_000)
    quick: AnswerCache[str] = AnswerCache(10_000_000)
    for number in range(WINDOW):
        ask(slow, str(number % 900), seconds=0.1)
        ask(quick, str(number % 100), seconds=0.0005)
    assert (slow.on, quick.on) == (True, False)

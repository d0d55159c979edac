"""How much of a training is kept, by how shares of it do on held-out rows."""

from __future__ import annotations

from adapters.training.judging import FEW, Judged, best_share


def judged(score: float, loss: float, rows: int) -> Judged:
    return Judged((), {"score": score}, loss, rows)


def of(rows: int, **shares: tuple[float, float]) -> float:
    """The best of shares by score and loss on so many rows."""
    places = {"none": 0.0, "half": 0.5, "whole": 1.0}
    return best_share({places[name]: judged(*figures, rows) for name, figures in shares.items()})


def test_the_better_score_is_taken_whatever_the_loss() -> None:
    assert of(100, none=(0.8, 0.1), half=(0.85, 0.2), whole=(0.9, 0.3)) == 1.0


def test_of_scores_that_one_row_tells_apart_the_loss_decides() -> None:
    assert of(100, none=(0.91, 0.30), half=(0.9, 0.20), whole=(0.9, 0.25)) == 0.5
    assert of(100, none=(0.9, 0.1), half=(0.9, 0.2), whole=(0.91, 0.3)) == 0.0


def test_the_loss_of_few_rows_does_not_decide_and_half_of_the_training_is_kept() -> None:
    assert of(FEW - 1, none=(0.9, 0.1), half=(0.9, 0.2), whole=(0.9, 0.05)) == 0.5
    assert of(FEW, none=(0.9, 0.1), half=(0.9, 0.2), whole=(0.9, 0.05)) == 1.0


def test_of_few_rows_too_a_better_score_counts() -> None:
    assert of(20, none=(0.9, 0.1), half=(0.8, 0.2), whole=(0.8, 0.2)) == 0.0


def test_a_training_that_changed_nothing_is_not_kept() -> None:
    assert of(20, none=(0.9, 0.12341), half=(0.9, 0.12342), whole=(0.9, 0.12342)) == 0.0


def test_a_share_of_its_own_is_judged_by_the_loss() -> None:
    assert best_share({0.0: judged(0.5, 0.2, 20), 0.7: judged(0.5, 0.1, 20)}) == 0.7

"""chrF, BLEU and ROUGE are what sacrebleu 2.6.0 and rouge_score 0.1.2 give."""

from __future__ import annotations

import pytest

from adapters.training.texts.scores import corpus_bleu, corpus_chrf, summary_scores, translation_scores

WRITTEN = ["the cat is on the mat .", "There are 3,000 dogs!"]
WANTED = ["The cat sat on the mat.", "There were 3,000 dogs, I think."]


def test_figures_are_those_of_the_reference_programs() -> None:
    assert translation_scores(WRITTEN, WANTED) == {"rows": 2, "chrf": 53.3067, "bleu": 25.2852, "score": 0.533067}
    assert summary_scores(WRITTEN, WANTED) == {"rows": 2, "rouge_l": 0.75, "rouge_1": 0.75, "score": 0.75}


def test_a_single_sentence_is_scored_as_by_sacrebleu() -> None:
    written, wanted = ["Ein Hund läuft schnell über die grüne Wiese."], ["Ein Hund rennt über die grüne Wiese."]
    assert corpus_chrf(written, wanted) == pytest.approx(70.33900109062542)
    assert corpus_bleu(written, wanted) == pytest.approx(51.33450480401705)


def test_the_same_text_scores_everything_and_none_nothing() -> None:
    assert translation_scores(WANTED, WANTED)["chrf"] == pytest.approx(100)
    assert translation_scores(WANTED, WANTED)["bleu"] == pytest.approx(100)
    assert summary_scores(WANTED, WANTED)["score"] == 1
    assert translation_scores(["", ""], WANTED) == {"rows": 2, "chrf": 0.0, "bleu": 0.0, "score": 0.0}
    assert summary_scores(["", ""], WANTED)["score"] == 0


def test_the_order_of_words_counts_for_rouge_l_alone() -> None:
    figures = summary_scores(["mat the on sat cat the"], ["the cat sat on the mat"])
    assert figures["rouge_1"] == 1
    assert figures["rouge_l"] == 0.5  # the cat the

"""question-answering: a question and a text to the stretch of the text that answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, StrictInt

from zoo.catalogue.entry import ModelEntry
from zoo.errors import InvalidInput
from zoo.tasks.decoding.answers import Answer, Reading, answers_in
from zoo.tasks.processors.text import CHARACTERS_PER_TOKEN, checked
from zoo.tasks.processors.windows import EncodedWindows, Window, WindowProcessor, cut
from zoo.tasks.task import Array, Parameters, Task

MAX_SEQ_LEN, DOC_STRIDE, MAX_QUESTION_LEN, MAX_ANSWER_LEN = 384, 128, 64, 15  # tokens, as transformers has them


class QuestionAnsweringParameters(Parameters):
    """How many answers, how long, whether there may be none; lengths are in tokens.

    The text is read in windows of ``max_seq_len``, question included, that share ``doc_stride`` with the next.
    """

    top_k: StrictInt = Field(1, ge=1, le=1000)
    doc_stride: StrictInt | None = Field(None, ge=0)
    max_answer_len: StrictInt | None = Field(None, ge=1)
    max_question_len: StrictInt = Field(MAX_QUESTION_LEN, ge=1)
    max_seq_len: StrictInt | None = Field(None, ge=1)
    handle_impossible_answer: bool | None = None
    align_to_words: bool = True


class QuestionAnswering(Task):
    """Input: ``{"question", "context"}``. Output: ``{"answer", "score", "start", "end"}``, a list for ``top_k`` > 1.

    ``start`` and ``end`` are characters of the context. An empty answer says that there is none. The graph answers
    (batch, tokens, 2): logits of a token to be the first and the last one of the answer. The version may have a
    ``max_answer_len`` and ``handle_impossible_answer`` of its own, for requests without them.
    """

    name = "question-answering"
    modality = "text"
    sample: ClassVar[object] = {"question": "warm", "context": "warm"}
    Parameters = QuestionAnsweringParameters

    def __init__(self, entry: ModelEntry, folder: Path) -> None:
        self._usual = Reading(
            max_tokens=int(entry.options.get("max_answer_len", MAX_ANSWER_LEN)),
            may_be_none=bool(entry.options.get("handle_impossible_answer", False)),
        )
        self._windows = WindowProcessor(
            folder / "tokenizer.json",
            max_tokens=entry.limits["max_tokens"],
            pad_token_id=int(entry.options.get("pad_token_id", 0)),
        )

    def parameters(self, raw: Mapping[str, Any]) -> QuestionAnsweringParameters:
        """An option sent as null counts as left out."""
        found: QuestionAnsweringParameters = super().parameters({k: v for k, v in raw.items() if v is not None})
        most = self._windows.max_tokens
        if found.max_seq_len is not None and found.max_seq_len > most:
            message = f"parameters.max_seq_len is at most {most}, the tokens that this model reads at once."
            raise InvalidInput(message, param="parameters.max_seq_len")
        return found

    def preprocess(self, item: object, parameters: QuestionAnsweringParameters) -> EncodedWindows:
        question, context = asked(item, self._windows)
        return read_in_windows(question, context, self._windows, parameters)

    def collate(self, batch: Sequence[Window]) -> dict[str, Array]:
        return self._windows.batch(batch)

    def read(self, outputs: Sequence[Array], batch: Sequence[Window]) -> list[Array]:
        return cut(outputs[0], batch)

    def postprocess(
        self, row: Sequence[Any], encoded: EncodedWindows, parameters: QuestionAnsweringParameters
    ) -> object:
        none = parameters.handle_impossible_answer
        how = Reading(
            top_k=parameters.top_k,
            max_tokens=parameters.max_answer_len or self._usual.max_tokens,
            whole_words=parameters.align_to_words,
            may_be_none=self._usual.may_be_none if none is None else none,
        )
        found = [_described(answer) for answer in answers_in(encoded, row, how)]
        if parameters.top_k > 1:
            return found
        return found[0] if found else _described(Answer("", 0.0, 0, 0))


def asked(item: object, windows: WindowProcessor) -> tuple[str, str]:
    """Question and text of an item; raises ``InvalidInput`` and ``TooLarge``."""
    if not isinstance(item, dict) or item.keys() != {"question", "context"}:
        message = 'inputs has to be an object with "question" and "context" and nothing else, or a list of such.'
        raise InvalidInput(message, code="invalid_question", param="inputs")
    most = CHARACTERS_PER_TOKEN * windows.max_tokens
    question = checked(item["question"], most=most, name="The question", param="inputs.question")
    return question, checked(item["context"], most=windows.most_characters, name="The context", param="inputs.context")


def read_in_windows(
    question: str, context: str, windows: WindowProcessor, parameters: QuestionAnsweringParameters
) -> EncodedWindows:
    """The context in windows, each behind the question, of which ``max_question_len`` tokens are read."""
    most = parameters.max_seq_len or min(windows.max_tokens, MAX_SEQ_LEN)
    shown = windows.beginning(question, parameters.max_question_len)
    usual = min(most // 2, DOC_STRIDE)
    return windows.of_pair(shown, context, max_tokens=most, stride=parameters.doc_stride, usual=usual)


def _described(answer: Answer) -> dict[str, object]:
    return {"answer": answer.text, "score": answer.score, "start": answer.start, "end": answer.end}

"""Which task a checkpoint in the hub's layout was made for: its ``config.json`` names transformers' class."""

from __future__ import annotations

from pathlib import Path

from zoo.catalogue.hub_layout import architectures
from zoo.errors import Unsupported
from zoo.tasks.task import task_names

# How transformers ends the names of its classes, and the task of each; the first that fits counts.
_HEADS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForAudioClassification": "audio-classification",
    "ForImageClassification": "image-classification",
    "ForImageClassificationWithTeacher": "image-classification",
    "ForObjectDetection": "object-detection",
    "ForSemanticSegmentation": "image-segmentation",
    "WhisperForConditionalGeneration": "automatic-speech-recognition",
    "MarianMTModel": "translation",
    "M2M100ForConditionalGeneration": "translation",
    "T5ForConditionalGeneration": "translation",
    "BartForConditionalGeneration": "summarization",
    "ForCTC": "automatic-speech-recognition",
}

# Their sequences are samples: transformers names their classifiers as those of texts.
_WAVEFORMS = ("wav2vec2", "hubert")


def head_task(checkpoint: Path) -> str:
    """The task of the checkpoint's head; raises ``Unsupported`` for those that this release does not have."""
    kind, names = architectures(checkpoint)
    if kind in _WAVEFORMS and any(name.endswith("ForSequenceClassification") for name in names):
        return "audio-classification"
    for ending, task in _HEADS.items():
        if any(name.endswith(ending) for name in names):
            return task
    if (checkpoint / "preprocessor_config.json").is_file() and any(name.endswith("Model") for name in names):
        return "image-feature-extraction"
    if (checkpoint / "modules.json").is_file() or any(name.endswith("Model") for name in names):
        return "feature-extraction"
    if any(name.endswith("ForMaskedLM") for name in names):
        return "fill-mask"
    raise Unsupported(
        f"{', '.join(names) or kind} is of a task that this release cannot import; it imports "
        f"{', '.join(task_names())}.",
        code="unsupported_task",
        param="task",
    )

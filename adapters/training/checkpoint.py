"""What a checkpoint in hub layout says about itself: lengths, pooling, labels, tokenizer. Never runs its code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer

from adapters.training.layouts.ctranslate2 import is_ctranslate2
from zoo.catalogue.entry import is_relative_file
from zoo.errors import InvalidInput, Unsupported
from zoo.tasks.task import task_names

# RoBERTa's positions start behind the padding id, so two of them are never used.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet"}
UNBOUNDED = 100_000  # tokenizers write 10^30 for "no limit"
ADAPTER = "adapter"  # the folder of what was learnt on a body that lies beside it


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is no such file; raises ``InvalidInput`` for anything else."""
    if not path.is_file():
        return {}
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InvalidInput(f"{path.name} of the checkpoint is not JSON.", code="invalid_checkpoint") from None
    if not isinstance(loaded, dict):
        raise InvalidInput(f"{path.name} of the checkpoint holds no JSON object.", code="invalid_checkpoint")
    return loaded


def architectures(checkpoint: Path) -> tuple[str, tuple[str, ...]]:
    """Model type and class names of ``config.json``; raises ``InvalidInput`` without one or with remote code."""
    config = read_json(checkpoint / "config.json")
    if not config.get("model_type"):
        raise InvalidInput("The checkpoint has no config.json with a model_type.", code="invalid_checkpoint")
    refuse_remote_code(checkpoint)
    return str(config["model_type"]), tuple(str(name) for name in config.get("architectures") or ())


def is_adapted(checkpoint: Path) -> bool:
    """Whether the folder holds an adapter beside the weights that it belongs to, or without them yet."""
    return (checkpoint / ADAPTER).is_dir()


def refuse_remote_code(checkpoint: Path) -> None:
    """Raise ``InvalidInput`` for a checkpoint that names Python files to run."""
    if "auto_map" in read_json(checkpoint / "config.json"):
        message = "The checkpoint asks to run its own code (auto_map in config.json), which is never done."
        raise InvalidInput(message, code="remote_code")


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


def infer_task(checkpoint: Path) -> str:
    """The task that the checkpoint's head was made for; raises ``Unsupported`` for those that cannot be imported."""
    config = read_json(checkpoint / "config.json")
    # timm's layout, and our own, which names its task
    if is_adapted(checkpoint) or ("architecture" in config and "model_type" not in config):
        return str(config.get("task", "image-classification"))
    if is_ctranslate2(checkpoint):  # of such folders only Whisper's are read
        return "automatic-speech-recognition"
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


def max_tokens(checkpoint: Path) -> int:
    """The most tokens, special ones included, that model, tokenizer and sentence settings all allow."""
    config = read_json(checkpoint / "config.json")
    positions = _length(config, "max_position_embeddings", default=512)
    if config.get("model_type") in _OFFSET_POSITIONS:
        positions -= 2
    tokenizer = read_json(checkpoint / "tokenizer_config.json")
    sentence = read_json(checkpoint / "sentence_bert_config.json")
    return min(positions, _length(tokenizer, "model_max_length"), _length(sentence, "max_seq_length"))


def _length(settings: dict[str, Any], key: str, *, default: int = UNBOUNDED) -> int:
    value = settings.get(key)
    if value is None:
        return default
    if not isinstance(value, int | float) or not value >= 8:
        raise InvalidInput(f"{key} of the checkpoint is no number of tokens from 8 up.", code="invalid_checkpoint")
    return int(min(value, UNBOUNDED))


def pooling(checkpoint: Path) -> tuple[str, bool]:
    """How the checkpoint's own modules make one vector of many: (``mean``, ``cls`` or ``max``; length one?).

    A checkpoint without modules is pooled by the mean and left at its length. Raises ``Unsupported`` for modules and
    poolings that would be left out in silence, ``InvalidInput`` for a file that cannot be read.
    """
    kinds = _modules(checkpoint)
    unknown = [kind for kind in kinds if kind not in _MODULES]
    if unknown:
        message = f"The checkpoint has a module that this release does not have: {unknown[0][:64]}."
        raise Unsupported(message, code="unsupported_pooling")
    settings = read_json(checkpoint / kinds.get("Pooling", "1_Pooling") / "config.json")
    chosen = [key.removeprefix(_FLAG) for key, value in settings.items() if key.startswith(_FLAG) and value]
    if settings.get("pooling_mode"):  # one name in place of a flag for each mode
        chosen = [str(settings["pooling_mode"])]
    modes = [_POOLING.get(name) for name in chosen or ["mean"]]
    if len(modes) > 1 or modes[0] is None:
        raise Unsupported("The checkpoint pools in a way that this release does not have.", code="unsupported_pooling")
    return modes[0], "Normalize" in kinds


def _modules(checkpoint: Path) -> dict[str, str]:
    """Kinds of the modules that a sentence encoder is made of, and the folder of each."""
    path = checkpoint / "modules.json"
    if not path.is_file():
        return {}
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
        found = {str(module["type"]).rpartition(".")[2]: str(module.get("path", "")) for module in loaded}
    except (ValueError, TypeError, KeyError, AttributeError):
        message = "modules.json of the checkpoint is no list of modules."
        raise InvalidInput(message, code="invalid_checkpoint") from None
    return {kind: folder if is_relative_file(folder) else f"1_{kind}" for kind, folder in found.items()}


_MODULES = ("Transformer", "Pooling", "Normalize")
_FLAG = "pooling_mode_"
_POOLING = {"mean": "mean", "cls": "cls", "max": "max", "mean_tokens": "mean", "cls_token": "cls", "max_tokens": "max"}


def ensure_tokenizer(checkpoint: Path) -> None:
    """Write ``tokenizer.json`` where there are only vocabulary files; raises ``InvalidInput`` if there are none."""
    if (checkpoint / "tokenizer.json").is_file():
        return
    try:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False)
        # Without any vocabulary file transformers 5.23 makes a tokenizer that knows special tokens alone.
        if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):
            raise ValueError("no vocabulary")
        tokenizer.backend_tokenizer.save(str(checkpoint / "tokenizer.json"))
    except (OSError, ValueError, AttributeError, ImportError):
        message = "The checkpoint has no tokenizer.json and none can be made of its vocabulary files."
        raise InvalidInput(message, code="invalid_checkpoint") from None


def load_config(checkpoint: Path) -> Any:
    """transformers' configuration of the checkpoint, without its code; raises ``Unsupported`` for unknown types."""
    kind, _ = architectures(checkpoint)
    try:
        return AutoConfig.from_pretrained(checkpoint, trust_remote_code=False)
    except (ValueError, KeyError):
        raise Unsupported(f"Models of the type {kind[:64]} are unknown.", code="unsupported_architecture") from None

"""The model card of an adapted version: what it is, what it learnt from, how good it is, what it is not for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.catalogue.entry import ModelEntry

MOST_CLASSES = 100
_LOADED = {
    "text": "load them with `PeftModel.from_pretrained` on the base encoder",
    "image": "named as in the network that `adapters.training.pictures.body.load_body` makes of the base",
    "audio": "named as in the network that `adapters.training.sounds.body.load_body` makes of the base",
}

_REFIT = """
Measured before the held-out rows were learnt from too: with these figures known, the same training was done once more
on all rows of the file."""

_NORMALISED = """
Word and character error rate (wer, cer) are counted in lower case without punctuation."""
_RECOGNISER = "load them with `PeftModel.from_pretrained` on transformers' recogniser of the base"
_WRITER = "load them with `PeftModel.from_pretrained` on transformers' network of the base"
_SPELLER = "load them with `PeftModel.from_pretrained` on transformers' network of the base, without its letters"


def write_card(entry: ModelEntry, report: dict[str, Any], headline: Sequence[str], *, with_head: bool) -> str:
    """Markdown from the entry (its version is not known yet) and the figures of the data set; names no user's text.

    ``with_head``: whether a new part lies beside the adapter.
    """
    heldout, probe, before = (entry.metrics.get(name) for name in ("heldout", "probe", "before"))
    assert heldout is not None
    loaded, head = _LOADED[entry.modality], " and `head.safetensors`, the new part" if with_head else ""
    if "wer" in heldout:
        loaded = _RECOGNISER if "whisper" in entry.options else _SPELLER
    elif "text_to_text" in entry.options:
        loaded = _WRITER
    lines = [
        f"# {entry.name}",
        "",
        f"{entry.task}, adapted from `{entry.base}` ({entry.architecture}) with LoRA.",
        f"Licence of the base: {entry.licence}.",
        "",
        "## Data",
        f"- file `{entry.lineage['training_file']}`, SHA-256 `{entry.lineage['training_sha256']}`",
        f"- {report['rows']} rows, {report['usable']} used: {report['train']} to train on, "
        f"{report['validation']} to choose the best state, {report['heldout']} held out",
        *([f"- {len(entry.labels)} labels"] if entry.labels else []),
        "",
        "## Held-out rows",
        *_figures(
            headline,
            {
                f"{entry.base} as it is": before,
                "frozen base, logistic regression": probe,
                "this model": heldout,
            },
        ),
        *([_NORMALISED] if "wer" in heldout else []),
        *([_REFIT] if entry.lineage["hyperparameters"].get("refit") else []),
        "",
        *_per_class(heldout.get("per_class", {})),
    ]
    parity = entry.parity
    lines += [
        "",
        "## Proof of the export",
        f"On {parity['rows']} held-out rows, served by ONNX Runtime and by torch: largest difference of an output "
        f"{parity['max_abs_difference']:.2e} (at most {parity['tolerance']:.0e} is let through), same answer on "
        f"{parity['argmax_agreement']:.2%}.",
        "",
        "## Recipe",
        *(f"- {name}: {value}" for name, value in _decided(entry).items()),
        f"- seed: {entry.lineage['seed']}",
        "",
        "## Files",
        "- `model.onnx` and the files beside it: what is served",
        f"- `adapter/`: LoRA in peft's format ({loaded}){head}",
        "",
        "## Limits",
        *_lengths(entry),
        *([f"Of a sound the first {entry.limits['seconds']} s are heard."] if "seconds" in entry.limits else []),
        "The figures hold for data like the held-out rows; data of another kind are answered too, often with a high "
        "score.",
        "",
    ]
    return "\n".join(lines)


def _lengths(entry: ModelEntry) -> list[str]:
    """What becomes of long texts, if the model reads texts."""
    most = entry.limits.get("max_tokens")
    if most is None:
        return []
    if "text_to_text" in entry.options:
        return [f"Texts of more than {most} tokens are answered passage by passage; in training both sides were cut."]
    if "windows" in entry.limits:
        return [f"Long texts are read in up to {entry.limits['windows']} windows of {most} tokens."]
    return [f"Texts are cut at {most} tokens."]


def _figures(headline: Sequence[str], rows: Mapping[str, Mapping[str, float] | None]) -> list[str]:
    """A table of the first figures, one line for each model that has them."""
    lines = [
        "| | " + " | ".join(name.replace("_", " ") for name in headline) + " |",
        "|---" * (len(headline) + 1) + "|",
    ]
    for title, figures in rows.items():
        if figures is not None:
            lines.append(f"| {title} | " + " | ".join(f"{figures[name]:.4f}" for name in headline) + " |")
    return lines


def _per_class(classes: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A table of each class's figures; shares have three places, counts none."""
    if not classes:
        return []
    columns = list(next(iter(classes.values())))
    lines = ["| label | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for label, figures in list(classes.items())[:MOST_CLASSES]:
        name = " ".join(label[:60].split()).replace("\\", "\\\\").replace("|", "\\|")
        cells = (f"{value:.3f}" if isinstance(value := figures[key], float) else str(value) for key in columns)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _decided(entry: ModelEntry) -> dict[str, Any]:
    """Hyperparameters without those that do not apply."""
    return {name: value for name, value in entry.lineage["hyperparameters"].items() if value is not None}

"""The model card of an adapted version: what it is, what it learnt from, how good it is, what it is not for."""

from __future__ import annotations

from typing import Any

from zoo.catalogue.entry import ModelEntry

MOST_CLASSES = 100


def write_card(entry: ModelEntry, report: dict[str, Any]) -> str:
    """Markdown from the entry (its version is not known yet) and the figures of the data set; names no user's text."""
    heldout, probe = entry.metrics["heldout"], entry.metrics["probe"]
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
        f"- {len(entry.labels)} labels",
        "",
        "## Held-out rows",
        "| | accuracy | macro F1 |",
        "|---|---|---|",
        f"| frozen base, logistic regression | {probe['accuracy']:.4f} | {probe['macro_f1']:.4f} |",
        f"| this model | {heldout['accuracy']:.4f} | {heldout['macro_f1']:.4f} |",
        "",
        "| label | precision | recall | F1 | rows |",
        "|---|---|---|---|---|",
    ]
    for label, figures in list(heldout["per_class"].items())[:MOST_CLASSES]:
        name = " ".join(label[:60].split()).replace("\\", "\\\\").replace("|", "\\|")
        shares = " | ".join(f"{figures[key]:.3f}" for key in ("precision", "recall", "f1"))
        lines.append(f"| {name} | {shares} | {figures['support']} |")
    parity = entry.parity
    lines += [
        "",
        "## Proof of the export",
        f"On {parity['rows']} held-out rows, served by ONNX Runtime and by torch: largest difference of a logit "
        f"{parity['max_abs_difference']:.2e} (at most {parity['tolerance']:.0e} is let through), same answer on "
        f"{parity['argmax_agreement']:.2%}.",
        "",
        "## Recipe",
        *(f"- {name}: {value}" for name, value in entry.lineage["hyperparameters"].items()),
        f"- seed: {entry.lineage['seed']}",
        "",
        "## Files",
        "- `model.onnx`, `tokenizer.json`: what is served",
        "- `adapter/`: the LoRA layers in peft's format (load them with `PeftModel.from_pretrained` on the base "
        "encoder) and `head.safetensors`, the linear layer on the pooled, unit-length vector",
        "",
        "## Limits",
        f"Texts are cut at {entry.limits.get('max_tokens', '-')} tokens. The figures hold for data like the "
        "held-out rows; texts of another kind or language still get one of the labels, often with a high score.",
        "",
    ]
    return "\n".join(lines)

"""How an adapted model did, as people read it: before and after, per class, and what the gate measured."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from api.client import Json
from api.commands.terminal import figure, printable, table

MOST_CLASSES = 30  # rows of a per-class table before it stops helping


SPELLED = {"macro_f1": "macro F1", "f1": "F1", "map": "mAP", "map50": "mAP50", "mean_iou": "mean IoU", "iou": "IoU"}
SPELLED |= {"chrf": "chrF", "bleu": "BLEU", "rouge_l": "ROUGE-L", "rouge_1": "ROUGE-1", "support": "rows"}
SPELLED |= {"ap": "AP", "ap50": "AP50", "wer": "WER", "cer": "CER"}
NOT_FIGURES = ("rows", "score", "loss", "support", "seconds")  # `score` is one of the others under a second name
MOST_FIGURES = 4


def figures_of(model: Json) -> list[str]:
    """The names of a model's first figures on held-out rows: those of what it started from, else what there is."""
    metrics = _member(model, "metrics")
    heldout = _member(metrics, "heldout")
    for values in (start_of(model), heldout):
        names = [name for name, value in values.items() if _is_number(value) and name not in NOT_FIGURES]
        if found := [name for name in names if name in heldout]:
            return found[:MOST_FIGURES]
    return ["score"] if _is_number(heldout.get("score")) else []


def start_of(model: Json) -> dict[str, Any]:
    """The figures of what was adapted: a probe on the frozen body, or the body itself where it does the task."""
    metrics = _member(model, "metrics")
    return _member(metrics, "probe") or _member(metrics, "before")


def spelled(name: str) -> str:
    """A figure's name as people write it: ``macro_f1`` -> macro F1."""
    return SPELLED.get(name, printable(name.replace("_", " ")))


def comparison(model: Json) -> Table | None:
    """The figures on the held-out rows: what it started from beside the adapted model."""
    metrics, names = _member(model, "metrics"), figures_of(model)
    after, before = _member(metrics, "heldout"), start_of(model)
    if not names:
        return None
    titles = tuple(spelled(name) for name in names)
    made = table("on held-out rows", *titles, numbers=titles)
    if before:
        title = "frozen body + logistic regression" if "probe" in metrics else "the pre-trained model as it is"
        made.add_row(f"before: {title}", *(figure(before.get(name)) for name in names))
    told = f"after: adapted, {after.get('rows', '?')} rows never trained on"
    made.add_row(told, *(figure(after.get(name)) for name in names))
    return made


def per_class(model: Json) -> Table | None:
    """The figures of each class, such as precision, recall and F1, and its number of held-out rows."""
    classes = _member(_member(_member(model, "metrics"), "heldout"), "per_class")
    rows = {label: scores if isinstance(scores, dict) else {"score": scores} for label, scores in classes.items()}
    if not rows:
        return None
    names = [name for name in next(iter(rows.values())) if name != "support"]
    counted = any("support" in scores for scores in rows.values())
    titles = tuple(map(spelled, [*names, *(["support"] if counted else [])]))
    made = table("class", *titles, numbers=titles)
    for label, scores in list(rows.items())[:MOST_CLASSES]:
        cells = [figure(scores.get(name)) for name in names]
        cells += [figure(scores.get("support"), "{:.0f}".format)] if counted else []
        made.add_row(printable(label), *cells)
    if len(rows) > MOST_CLASSES:
        made.add_row(f"… and {len(rows) - MOST_CLASSES} more (--json shows all)")
    return made


def parity(model: Json) -> str:
    """What the gate measured between the trained and the served model, in one line; empty where there is no gate."""
    measured = _member(model, "parity")
    if not measured:
        return ""
    if measured.get("compared") is False:
        return f"not compared: {measured.get('reason', 'there is nothing to compare with')}"
    measured = _member(measured, "int8") if "max_abs_difference" not in measured else measured
    agreed = measured.get("argmax_agreement", measured.get("agreement"))
    return (
        f"max |Δ| {figure(measured.get('max_abs_difference'), '{:.1e}'.format)}"
        f" (allowed {figure(measured.get('tolerance'), '{:.0e}'.format)}),"
        f" same answer on {figure(agreed, '{:.1%}'.format)}"
        f" of {measured.get('rows', '?')} rows"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _member(values: Json, name: str) -> dict[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}

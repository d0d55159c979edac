"""How an adapted model did, as people read it: before and after, per class, and what the gate measured."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from api.client import Json
from api.commands.terminal import figure, printable, table

MOST_CLASSES = 30  # rows of a per-class table before it stops helping


def comparison(model: Json) -> Table | None:
    """Accuracy and macro F1 on the held-out rows: the frozen body with a probe beside the adapted model."""
    metrics = _member(model, "metrics")
    after, before = _member(metrics, "heldout"), _member(metrics, "probe")
    if not after:
        return None
    made = table("on held-out rows", "accuracy", "macro F1", numbers=("accuracy", "macro F1"))
    if before:
        made.add_row("before: frozen body + logistic regression", *_scores(before))
    made.add_row(f"after: adapted, {after.get('rows', '?')} rows never trained on", *_scores(after))
    return made


def per_class(model: Json) -> Table | None:
    """Precision, recall, F1 and number of held-out rows of each class."""
    classes = _member(_member(_member(model, "metrics"), "heldout"), "per_class")
    if not classes:
        return None
    made = table("class", "precision", "recall", "F1", "rows", numbers=("precision", "recall", "F1", "rows"))
    for label, scores in list(classes.items())[:MOST_CLASSES]:
        numbers = [figure(scores.get(name)) for name in ("precision", "recall", "f1")]
        made.add_row(printable(label), *numbers, figure(scores.get("support"), "{:.0f}".format))
    if len(classes) > MOST_CLASSES:
        made.add_row(f"… and {len(classes) - MOST_CLASSES} more (--json shows all)")
    return made


def parity(model: Json) -> str:
    """What the gate measured between the trained and the served model, in one line; empty where there is no gate."""
    measured = _member(model, "parity")
    if not measured:
        return ""
    return (
        f"max |Δ| {figure(measured.get('max_abs_difference'), '{:.1e}'.format)}"
        f" (allowed {figure(measured.get('tolerance'), '{:.0e}'.format)}),"
        f" same answer on {figure(measured.get('argmax_agreement'), '{:.1%}'.format)}"
        f" of {measured.get('rows', '?')} rows"
    )


def _scores(metrics: Json) -> tuple[str, str]:
    return figure(metrics.get("accuracy")), figure(metrics.get("macro_f1"))


def _member(values: Json, name: str) -> dict[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}

"""The web page has a form for each task of texts."""

from __future__ import annotations

import re

from httpx import Client

from zoo.tasks.task import task_class, task_names


def test_every_task_of_texts_has_a_form(client: Client) -> None:
    page = client.get("/").text
    forms = page[page.index("const FORMS = {") :]
    named = re.findall(r'^  "([a-z-]+)":', forms[: forms.index("};")], re.MULTILINE)
    assert sorted(named) == [name for name in task_names() if task_class(name).modality == "text"]


def test_every_part_of_a_form_is_on_the_page(client: Client) -> None:
    page = client.get("/").text
    parts = {part for parts in re.findall(r"parts: \[([^\]]+)\]", page) for part in re.findall("[a-z]+", parts)}
    assert parts >= {"context", "labels", "pair", "source", "languages"}
    assert all(f'id="try-{part}-part"' in page for part in parts)

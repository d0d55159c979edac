"""`zoo demo vision`: a network that knows ImageNet's things looks at photographs, then learns road signs."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
from pathlib import Path
from typing import Any

from rich.text import Text

from api.commands.answers import answer_view
from api.commands.demo_run import SEED, DemoRun
from api.commands.demo_summary import shown_path, zoo_command
from api.commands.folder_zip import zipped
from api.commands.terminal import printable
from zoo.errors import InvalidInput

BODY, NAME = "effnet-lite0", "signs"
EACH, EACH_NEW = 36, 4  # pictures of each kind: to learn from, and held back
PHOTOGRAPHS = ("china.jpg", "flower.jpg")  # in scikit-learn, which is there wherever models can be trained
STAGES = {
    "photographs": "two photographs classified (the model is loaded here)",
    "draw": "road signs drawn",
    "predict": "new signs predicted (the new model is loaded here)",
}
SHEET = "signs.png"


def check() -> None:
    """Nothing has to be there: the pictures are drawn."""


def tell(run: DemoRun, home: Path) -> None:
    """Import, classify photographs, draw signs, adapt to them, look at new ones, measure. Files go below ``home``."""
    run.bring(BODY)
    _photographs(run)
    learnt, new = home / NAME, home / f"{NAME}_new"
    held_back = _drawn(run, learnt, new)
    with zipped(learnt) as packed:
        file_id = run.upload(packed, f"pictures of road signs, {EACH} of each kind, each with its label")
    run.adapt(BODY, "signs", NAME, file_id)
    _answers(run, held_back, home / SHEET)
    content = held_back[0][1].read_bytes()
    run.time_requests("one picture", lambda: run.client.predict_file(run.measured.reference, content))


def go_on(home: Path) -> list[Text]:
    """What to type next with the model that was made."""
    zoo = zoo_command()
    pictures = sorted((home / f"{NAME}_new").rglob("*.jpg"))
    one = shlex.quote(shown_path(pictures[0])) if pictures else "PICTURE.jpg"
    curl = f"curl -s http://127.0.0.1:8000/v1/models/{NAME}/predict -H 'content-type: image/jpeg' --data-binary @{one}"
    return [
        Text(f"  {zoo} predict {NAME} {one} --draw out.png"),
        Text(f"  {zoo} show {NAME}"),
        Text(f"  {curl}"),
        Text(f"  {zoo} adapt {BODY} YOUR-FOLDER --name YOURS     # a folder with a folder of pictures for each label"),
    ]


def photographs() -> list[Path]:
    """Photographs of this machine that may be shown; none where scikit-learn is not installed."""
    found = importlib.util.find_spec("sklearn")
    folders = (
        [Path(place) / "datasets" / "images" for place in (found.submodule_search_locations or [])] if found else []
    )
    return [folder / name for folder in folders for name in PHOTOGRAPHS if (folder / name).is_file()]


def _photographs(run: DemoRun) -> None:
    """What the pre-trained model says to real photographs."""
    files = photographs()
    if not files:
        run.story.print("\nNo photographs here to look at (they come with scikit-learn); going on with drawings")
        return
    with run.stage("photographs", f"Asking {BODY} what is on {len(files)} photographs, of 1,000 things that it knows"):
        answers = [run.client.predict_file(BODY, path.read_bytes(), {"top_k": 3}) for path in files]
    for path, answer in zip(files, answers, strict=True):
        for line in answer_view(f"  {path.name}", answer):
            run.story.print(line)


def _drawn(run: DemoRun, learnt: Path, new: Path) -> list[tuple[str, Path]]:
    """The signs to learn from, and others that are held back: labels and paths of these."""
    from api.commands.demo_pictures import LABELS, write_set

    with run.stage("draw", f"Drawing {len(LABELS)} kinds of road signs in rough weather"):
        try:
            for folder in (learnt, new):
                shutil.rmtree(folder, ignore_errors=True)
            made = write_set(learnt, each=EACH, seed=SEED)
            held_back = write_set(new, each=EACH_NEW, seed=SEED + 1)
        except OSError as error:
            raise InvalidInput(f"{learnt.parent} cannot be written: {error.strerror}") from error
    run.story.print(f"  {len(made)} pictures in {printable(learnt)}, {len(held_back)} held back", soft_wrap=True)
    return held_back


def _answers(run: DemoRun, held_back: list[tuple[str, Path]], sheet: Path) -> None:
    """What the new model says to pictures that training never saw, on a sheet to look at."""
    from api.contact_sheet import Cell, contact_sheet
    from api.drawing import png
    from zoo.tasks.processors.image import open_picture

    with run.stage("predict", f"Asking {run.measured.reference} about {len(held_back)} signs that it has never seen"):
        contents = [path.read_bytes() for _, path in held_back]
        best = [_first(run.client.predict_file(run.measured.reference, content, {"top_k": 1})) for content in contents]
    cells = []
    for (label, _), content, (said, score) in zip(held_back, contents, best, strict=True):
        lines = (f"{said} {score:.2f}", *([] if said == label else [f"is: {label}"]))
        cells.append(Cell(open_picture(content), lines, right=said == label))
    right = sum(bool(cell.right) for cell in cells)
    told = f"{right} of {len(cells)} right"
    title = f"{run.measured.reference}: {told}; red is wrong"
    sheet.write_bytes(png(contact_sheet(cells, title=title)))
    run.story.print(f"  {told}; look at them: {printable(sheet)}", soft_wrap=True)


def _first(answer: Any) -> tuple[str, float]:
    best = answer[0]
    return str(best["label"]), float(best["score"])

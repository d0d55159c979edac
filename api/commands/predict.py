"""`zoo predict`: ask a model about texts, pictures or sounds and show what it answers, as it is wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from api.client import Client, Json
from api.commands.answers import answer_view, likeness_view, refused
from api.commands.exit_codes import ExitCode
from api.commands.session import Session, command
from api.commands.terminal import printable
from api.service_errors import ServiceError
from zoo.errors import InvalidInput

app = typer.Typer()


@command(app)
def predict(
    session: Session,
    model: Annotated[str, typer.Argument(help="name, name@version or name@alias", show_default=False)],
    items: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT or FILE]...", help="Texts, or for a model of pictures or sounds their files."),
    ] = None,
    *,
    file: Annotated[Path | None, typer.Option(help="Ask about every line of this UTF-8 file too.")] = None,
    context: Annotated[
        str | None, typer.Option(metavar="TEXT or FILE", help="What questions are answered from: a text, or its file.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=1, help="Show only the best so many labels.")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of what is found, for tasks that have one.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Labels to choose from, for a model of entailment.")
    ] = None,
    pair: Annotated[str | None, typer.Option(metavar="TEXT", help="A second text, read together with each.")] = None,
    source: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A text that the others are compared with: how alike they are.")
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(metavar="OUT.png", help="Draw boxes, masks and labels; several pictures: OUT-1.png, OUT-2.png, …"),
    ] = None,
    srt: Annotated[bool, typer.Option("--srt", help="What is said in a recording, as subtitles (SubRip).")] = False,
    vtt: Annotated[bool, typer.Option("--vtt", help="The same as WebVTT.")] = False,
    parameters: Annotated[
        str | None, typer.Option(metavar="JSON", help="Parameters of the task, as an object.")
    ] = None,
) -> None:
    """Ask a model about one or more texts, pictures or sounds."""
    asked = [*(items or []), *(_lines(file) if file is not None else [])]
    if not asked:
        raise InvalidInput(
            'nothing to ask about; give a text, as in `zoo predict NAME "some text"`, the file of a picture or sound,'
            " or --file"
        )
    chosen = _object(parameters)
    chosen |= {name: value for name, value in (("top_k", top_k), ("threshold", threshold)) if value is not None}
    if labels is not None:
        chosen["candidate_labels"] = [label.strip() for label in labels.split(",") if label.strip()]
        if not chosen["candidate_labels"]:
            raise InvalidInput("--labels names no label; write them as --labels payment,delivery")
    _check_drawing(draw)
    about = _about(context)
    with session.client() as client, _options_named():
        known = client.model(model)
        if draw is not None and known.get("modality") != "image":
            raise InvalidInput(f"--draw is for pictures; {model} answers {known.get('task') or 'nothing that has any'}")
        if srt or vtt:
            session.terminal.result(*_subtitled(client, known, model, asked, chosen, "vtt" if vtt else "srt"))
            return
        _check_texts(known, labels=labels, context=context, pair=pair, source=source)
        if source is not None:
            (alike,) = client.predict(model, [{"source_sentence": source, "sentences": asked}], chosen)
            session.terminal.result(alike, *likeness_view(source, asked, alike))
            return
        if known.get("modality") in NOUNS:
            contents = [_content(name, known) for name in asked]
            answers = _looked_at(client, model, list(zip(asked, contents, strict=True)), chosen)
        else:
            contents, answers = [], client.predict(model, _items(asked, about, pair), chosen)
            asked = asked if pair is None else [f"{text} | {pair}" for text in asked]
    written = _drawn(draw, contents, answers, known) if draw is not None else []
    shown = [part for name, answer in zip(asked, answers, strict=False) for part in answer_view(name, answer, about)]
    session.terminal.result(answers, *shown)
    for path in written:
        session.terminal.note(f"drawn: {path}")
    if any(refused(answer) for answer in answers):
        raise typer.Exit(ExitCode.BAD_DATA)


OPTIONS = {
    "invalid_question": "--context TEXT or FILE",
    "invalid_sentences": "--source TEXT",
    "labels_missing": "--labels A,B,…",
}


@contextmanager
def _options_named() -> Iterator[None]:
    """What the service asks for has an option here, which is named as well."""
    try:
        yield
    except ServiceError as error:
        if error.code not in OPTIONS:
            raise
        message = f"{error.message} Here it is given by {OPTIONS[error.code]}."
        raise ServiceError(message, status=error.status, code=error.code) from error


def _about(context: str | None) -> str:
    """The text that questions are about: that of a file if there is one of this name."""
    if context is None:
        return ""
    if not context.strip():
        raise InvalidInput("--context is empty; give the text that the answers are in, or its file")
    try:
        if not (path := Path(context).expanduser()).is_file():
            return context
    except (OSError, ValueError):  # too long for a name, or no name at all
        return context
    return _read(path)


def _items(asked: Sequence[str], about: str, pair: str | None) -> list[Any]:
    """Texts as they are; with something to ask about, questions; with a second text, pairs."""
    if about:
        return [{"question": text, "context": about} for text in asked]
    return list(asked) if pair is None else [{"text": text, "text_pair": pair} for text in asked]


def _check_texts(known: Json, **options: str | None) -> None:
    """Some options are for models that read text."""
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if given and known.get("modality") != "text":
        raise InvalidInput(f"{given[0]} is for texts; {known.get('id')} answers {known.get('task') or 'nothing'}")
    ways = [f"--{name}" for name in ("context", "pair", "source") if options[name] is not None]
    if len(ways) > 1:
        raise InvalidInput(f"{ways[0]} and {ways[1]} are two ways to ask; give one of them")


def _subtitled(
    client: Client, known: Json, model: str, asked: Sequence[str], options: Mapping[str, Any], form: str
) -> tuple[str, str]:
    """Subtitles of the one recording that is named, and the same for people."""
    if known.get("modality") != "audio":
        raise InvalidInput(f"--{form} is for recordings; {model} answers {known.get('task') or 'nothing that has any'}")
    if len(asked) != 1:
        raise InvalidInput(f"--{form} is for one recording at a time")
    with _readable(asked[0], known) as path:
        text = client.subtitles(model, path, form, options)
    return text, printable(text).rstrip("\n")


def _looked_at(
    client: Client, model: str, files: Sequence[tuple[str, bytes]], parameters: Mapping[str, Any]
) -> list[Any]:
    """One answer for each picture or sound, each a request of its own; a refused one is named and harms no other."""
    answers: list[Any] = []
    for name, content in files:
        try:
            answers.append(client.predict_file(model, content, parameters))
        except ServiceError as error:
            if error.code not in FILE_FAULTS:
                raise
            if len(files) == 1:
                fault = f"{name}: {error.message}"
                raise ServiceError(fault, status=error.status, code=error.code) from error
            answers.append({"error": error.message, "code": error.code})
    return answers


NOUNS = {"image": ("picture", "JPEG, PNG, WebP, …", "jpg"), "audio": ("sound", "WAV, FLAC, MP3, OGG", "wav")}
FILE_FAULTS = frozenset({
    *("unsupported_image", "image_too_large", "invalid_image", "body_too_large"),
    *("unsupported_media_type", "audio_too_long", "invalid_audio"),
})  # fmt: skip


def _content(name: str, model: Json) -> bytes:
    with _readable(name, model) as path:
        return path.read_bytes()


@contextmanager
def _readable(name: str, model: Json) -> Iterator[Path]:
    """The path of a file that is read in the block; what is wrong with it becomes ``InvalidInput``."""
    noun, kinds, ending = NOUNS[str(model["modality"])]
    path = Path(name).expanduser()
    try:
        yield path
    except FileNotFoundError:
        raise InvalidInput(f"there is no {noun} {path}; give the path of a {kinds} file") from None
    except IsADirectoryError:
        raise InvalidInput(f"{path} is a folder; give its {noun}s, as in {path}/*.{ending}") from None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or 'its name is no path'}") from error
    except ValueError:
        raise InvalidInput(f"this model is for {noun}s; give the path of one") from None


def _check_drawing(draw: Path | None) -> None:
    """Say before anything is asked that the drawing could not be written."""
    if draw is None:
        return
    if draw.suffix.lower() != ".png":
        raise InvalidInput(f"--draw writes PNG files; call it {draw.stem or 'out'}.png")
    if not draw.expanduser().absolute().parent.is_dir():
        raise InvalidInput(f"--draw: there is no folder {draw.parent}; make it first")


def _drawn(draw: Path, contents: Sequence[bytes], answers: Sequence[Any], model: Json) -> list[Path]:
    """The files written: a drawing of each picture that was answered."""
    from api.drawing import annotate, png
    from zoo.tasks.processors.image import open_picture

    labels = [str(label) for label in model.get("labels") or []]
    written = []
    for number, (content, answer) in enumerate(zip(contents, answers, strict=True), 1):
        if refused(answer):
            continue
        if not isinstance(answer, list) or not all(isinstance(one, dict) and "label" in one for one in answer):
            raise InvalidInput(f"--draw draws labels, boxes and masks; {model.get('task')} has none")
        path = draw.expanduser() if len(contents) == 1 else draw.expanduser().with_stem(f"{draw.stem}-{number}")
        try:
            path.write_bytes(png(annotate(open_picture(content), answer, labels=labels)))
        except OSError as error:
            raise InvalidInput(f"{path} cannot be written: {error.strerror}") from error
        written.append(path)
    return written


def _lines(file: Path) -> list[str]:
    return [line for line in _read(file).splitlines() if line.strip()]


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error


def _object(parameters: str | None) -> dict[str, Any]:
    try:
        read = json.loads(parameters, parse_constant=_no_number) if parameters is not None else {}
    except ValueError as error:
        raise InvalidInput(f"--parameters is not JSON ({error}); write it as '{{\"top_k\": 3}}'") from error
    if not isinstance(read, dict):
        raise InvalidInput("--parameters has to be a JSON object such as '{\"top_k\": 3}'")
    return read


def _no_number(constant: str) -> NoReturn:
    raise InvalidInput(f"--parameters: {constant} is no JSON number; give a finite one", code="invalid_number")

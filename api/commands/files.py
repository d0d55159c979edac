"""`zoo upload` and `zoo report`: a data file, what is in it, and every problem with its place and its fix."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from api.client import Client, Json
from api.commands.exit_codes import ExitCode
from api.commands.folder_zip import zipped
from api.commands.session import Session, command
from api.commands.terminal import bar, facts, figure, printable, size, table
from api.service_errors import ServiceError
from zoo.errors import InvalidInput, Unavailable

app = typer.Typer()
STYLES = {"error": "red", "warning": "yellow", "info": "dim"}
SHOWN_PROBLEMS = 50
SHOWN_CLASSES = 20
POLL_SECONDS = 0.5
INSPECTION_SECONDS = 600.0  # a worker reads Parquet files


@command(app)
def upload(
    session: Session,
    file: Annotated[
        Path,
        typer.Argument(
            help="A CSV, JSONL or Parquet file; pictures or audio: a zip or their folder.", show_default=False
        ),
    ],
) -> None:
    """Upload a data file and say what is in it and what is wrong with it."""
    with session.client() as client:
        stored = upload_checked(session, client, file.expanduser())
        report = client.report(str(stored["id"]))
    follow_on = f"adapt a model to it:  zoo adapt MODEL {stored['id']} --name NAME"
    session.terminal.result({"file": stored, "report": report}, _identity(stored), *report_view(report), "", follow_on)


@command(app)
def report(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE-ID", help="The upload's id.", show_default=False)],
) -> None:
    """Show the report of an uploaded file again."""
    with session.client() as client:
        stored, found = client.file(file), client.report(file)
    session.terminal.result({"file": stored, "report": found}, _identity(stored), *report_view(found))
    if found.get("fatal"):
        raise typer.Exit(ExitCode.BAD_DATA)


def upload_checked(session: Session, client: Client, path: Path) -> Json:
    """Upload ``path``, a folder as a zip, and wait for its check. A rejected file is reported and ends the command."""
    if path.is_dir():
        with zipped(path) as packed:
            return upload_checked(session, client, packed)
    if not path.is_file():
        raise InvalidInput(
            f"there is no file {path}; give a CSV, JSONL or Parquet file, or pictures or audio: a zip or a folder"
        )
    try:
        with session.terminal.err.status("uploading and checking"):
            stored = checked(client, client.upload(path))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from error
    except ServiceError as error:
        if error.file_id is None:
            raise
        stored = client.file(error.file_id)
    if stored.get("status") == "error":
        _reject(session, client, stored)
    return stored


def checked(client: Client, stored: Json) -> Json:
    """The file object once its check is over; ``Unavailable`` if no worker looks at it in time."""
    deadline = time.monotonic() + INSPECTION_SECONDS
    while stored.get("status") == "uploaded":
        if time.monotonic() > deadline:
            raise Unavailable("no worker has looked at the file yet; see `zoo report` later", code="not_inspected")
        time.sleep(POLL_SECONDS)
        stored = client.file(str(stored["id"]))
    return stored


def report_view(report: Json) -> list[RenderableType]:
    """What a file holds: rows, columns, classes with bars, then its problems."""
    usable, rows = report.get("usable_rows", 0), report.get("rows", 0)
    duplicates = report.get("duplicates") or {}
    lengths = (report.get("lengths") or {}).get("words") or {}
    form = [str(report[name]) for name in ("format", "encoding") if report.get(name)]
    columns = report.get("columns") or {}
    shown: list[RenderableType] = [
        facts(
            [
                ("rows", f"{usable} usable of {rows}" if usable != rows else rows),
                ("format", ", ".join(form)),
                ("columns", ", ".join(f"{role} = {column}" for role, column in columns.items())),
                ("ignored", ", ".join(report.get("ignored_columns") or [])),
                (
                    "words a row",
                    f"median {lengths['median']}, 95 % ≤ {lengths['p95']}, most {lengths['max']}" if lengths else "",
                ),
                ("spans", _spans(report.get("spans") or {})),
                ("scores", _scores(report)),
                *_pictures(report),
                *_clips(report),
                ("duplicates", f"{duplicates['rows']} rows repeat an earlier one" if duplicates.get("rows") else ""),
                ("conflicts", f"{report['conflicting_rows']} rows" if report.get("conflicting_rows") else ""),
            ]
        )
    ]
    return shown + _classes(report) + problems_view(report)


def _spans(found: Json) -> str:
    """Entities, or answers: how many there are, and how many a row."""
    if not found:
        return ""
    each = found.get("per_row") or {}
    counted = f"{found['count']:,}, median {each.get('median')} a row, most {each.get('max')}"
    return counted + (f"; {found['rows_without']:,} rows without" if found.get("rows_without") else "")


def _scores(report: Json) -> str:
    """The numbers that are to be learnt, if it is numbers."""
    scores = report.get("scores")
    if not scores:
        return ""
    return "median {median:g}, least {min:g}, most {max:g}, {distinct} different".format(**scores)


def _pictures(report: Json) -> list[tuple[str, object]]:
    """How many pictures there are, how large, of which kinds, and the boxes on them."""
    pictures, boxes = report.get("pictures") or {}, report.get("boxes") or {}
    shown: list[tuple[str, object]] = [("layout", report.get("layout"))]
    if pictures:
        kinds = ", ".join(f"{count} {kind}" for kind, count in (pictures.get("formats") or {}).items())
        shown.append(("pictures", f"{pictures.get('count')} of {size(pictures.get('bytes') or 0)}: {kinds}"))
        shown.append(("pixels", _sides(pictures)))
    if boxes:
        each = boxes.get("per_picture") or {}
        shown.append(("boxes", f"{boxes.get('count')}, median {each.get('median')} a picture, most {each.get('max')}"))
        shown.append(("pixels of a box", _sides(boxes)))
    return shown


def _clips(report: Json) -> list[tuple[str, object]]:
    """How much audio there is and of which kinds, how many words are said in it and how fast."""
    clips, said = report.get("clips") or {}, report.get("transcripts") or {}
    shown: list[tuple[str, object]] = []
    if clips:
        kinds = ", ".join(f"{count} {kind}" for kind, count in (clips.get("formats") or {}).items())
        shown.append(("clips", f"{clips.get('count')} of {size(clips.get('bytes') or 0)}: {kinds}"))
        lasts = clips.get("milliseconds") or {}
        least, usual, most = (f"{(lasts.get(name) or 0) / 1000:.2f} s" for name in ("min", "median", "max"))
        shown.append(("length", f"{clips.get('hours'):.2f} hours; median {usual}, least {least}, most {most}"))
        shown.append(("sample rates", _counts(clips.get("rates"), "Hz")))
        shown.append(("channels", _counts(clips.get("channels"), "in a clip")))
    if said:
        shown.append(("vocabulary", "{vocabulary:,} of {words:,} words, {once:,} of them once".format(**said)))
        speed = said.get("words_per_minute") or {}
        shown.append(("words a minute", "median {median}, least {min}, most {max}".format(**speed)))
    return shown


def _counts(counts: dict[str, int] | None, unit: str) -> str:
    """One value for all, or how many have each."""
    counts = counts or {}
    if len(counts) == 1:
        return f"{next(iter(counts))} {unit}"
    return ", ".join(f"{value} {unit}: {count}" for value, count in counts.items())


def _sides(measured: Json) -> str:
    wide, high = measured.get("widths") or {}, measured.get("heights") or {}
    least, usual, most = (f"{wide.get(name)} × {high.get(name)}" for name in ("min", "median", "max"))
    return f"median {usual}, least {least}, most {most}"


def problems_view(report: Json) -> list[RenderableType]:
    """Every problem with its place, code and fix; what made the file unusable first."""
    problems = list(report.get("problems") or [])
    fatal = report.get("fatal")
    if fatal and fatal not in problems:
        problems.insert(0, fatal)
    if not problems:
        return ["", Text("no problems", style="green")]
    listed = table("", "where", "code", "what", "fix")
    for problem in problems[:SHOWN_PROBLEMS]:
        level = str(problem.get("level", ""))
        place = _place(problem, rows=report.get("format") == "squad")
        cells = [place, problem.get("code", ""), problem.get("message", ""), problem.get("fix", "")]
        listed.add_row(Text(printable(level), style=STYLES.get(level, "")), *map(printable, cells))
    shown: list[RenderableType] = ["", listed]
    if len(problems) > SHOWN_PROBLEMS:
        shown.append(f"… and {len(problems) - SHOWN_PROBLEMS} more; --json shows them all")
    return shown


def _classes(report: Json) -> list[RenderableType]:
    classes = report.get("classes") or []
    if not classes:
        return []
    counted = next((kind for kind in ("boxes", "pictures", "clips") if report.get(kind)), "rows")
    listed = table("label", counted, "share", "", numbers=(counted, "share"))
    largest = max(one["share"] for one in classes) or 1
    for one in classes[:SHOWN_CLASSES]:
        share = one["share"]
        listed.add_row(printable(one["label"]), str(one["count"]), figure(share, "{:.1%}".format), bar(share / largest))
    if len(classes) > SHOWN_CLASSES:
        listed.add_row(f"… and {len(classes) - SHOWN_CLASSES} more")
    return ["", listed]


def _place(problem: dict[str, Any], *, rows: bool) -> str:
    """A line of a table, or a file of an archive, as far as the problem says where it is.

    The number of a row is shown where no line is told, or where one line may hold many ``rows``.
    """
    names = ("file", "line", "row", "column", "position")
    left_out = () if rows or problem.get("line") is None else ("row",)
    parts = [(name, problem.get(name)) for name in names if name not in left_out]
    words = [str(value) if name == "file" else f"{name} {value}" for name, value in parts if value not in (None, "")]
    return ", ".join(words) or "the whole file"


def _identity(stored: Json) -> RenderableType:
    name, amount = printable(stored.get("filename", "")), size(stored.get("bytes") or 0)
    return Text.assemble((str(stored.get("id", "")), "bold"), f"  {name}  {amount}")


def _reject(session: Session, client: Client, stored: Json) -> None:
    found = client.report(str(stored["id"]))
    fatal = found.get("fatal") or {}
    session.terminal.result({"file": stored, "report": found}, _identity(stored), *report_view(found))
    reason = fatal.get("message") or stored.get("status_details") or "it has the problems listed above"
    session.terminal.note(f"error: the file cannot be trained on: {reason}", style="red")
    raise typer.Exit(ExitCode.BAD_DATA)

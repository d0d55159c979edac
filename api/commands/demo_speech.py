"""`zoo demo speech`: a recogniser of English hears the notes of a workshop, and learns the words of its trade."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from api.commands.demo_clips import LEARN, NEW, transcripts, write_joined
from api.commands.demo_run import DemoRun
from api.commands.demo_sides import sides
from api.commands.demo_summary import shown_path, zoo_command
from api.commands.folder_zip import zipped
from api.commands.terminal import duration, printable
from api.word_errors import word_error_rate
from zoo.errors import InvalidInput

BODY, NAME = "whisper-tiny-en", "workshop"
STAGES = {
    "listen": "20 notes heard by the pre-trained model (it is loaded here)",
    "predict": "the same notes heard by the new model (it is loaded here)",
    "subtitles": "all of them as one recording, with subtitles",
}
EPOCHS = 4  # of the ten that the service would choose: 100 s less on two cores
RECORDING, SUBTITLES = "notes.wav", "notes.srt"

Note = tuple[Path, str]


def check() -> None:
    """Nothing has to be there: the recordings come with the program."""


def tell(run: DemoRun, home: Path) -> None:
    """Import, listen, adapt to the words of a trade, listen again, write subtitles, measure. Files go to ``home``."""
    notes = transcripts(NEW)
    run.bring(BODY)
    before = _heard(run, "listen", BODY, notes, f"{len(notes)} spoken notes of a workshop")
    learnt = len(transcripts(LEARN))
    with zipped(LEARN) as packed:
        file_id = run.upload(packed, f"{learnt} other notes, each with what is said in it")
    run.adapt(BODY, "words of the trade", NAME, file_id, epochs=EPOCHS)
    after = _heard(run, "predict", run.measured.reference, notes, "the same notes, from which it did not learn")
    _compared(run, notes, before, after)
    _subtitled(run, notes, home)
    content = notes[0][0].read_bytes()
    run.time_requests("one note", lambda: run.client.predict_file(run.measured.reference, content))


def go_on(home: Path) -> list[Text]:
    """What to type next with the model that was made."""
    zoo, one = zoo_command(), shlex.quote(shown_path(transcripts(NEW)[0][0]))
    url = "http://127.0.0.1:8000/v1/audio/transcriptions"
    return [
        Text(f"  {zoo} predict {NAME} {one}"),
        Text(f"  {zoo} predict {NAME} {shlex.quote(shown_path(home / RECORDING))} --srt"),
        Text(f"  {zoo} show {NAME}"),
        Text(f"  curl -s {url} -F model={NAME} -F file=@{one}"),
        Text(f"  {zoo} adapt {BODY} YOUR-FOLDER --name YOURS     # clips, and a metadata.csv: file_name,text"),
    ]


def _heard(run: DemoRun, stage: str, model: str, notes: Sequence[Note], what: str) -> list[str]:
    """What a model makes of each note."""
    with run.stage(stage, f"Asking {model} what is said in {what}"):
        answers = [run.client.predict_file(model, path.read_bytes()) for path, _ in notes]
    heard = [str(answer["text"]) for answer in answers]
    run.story.print(f"  word error rate {word_error_rate(_pairs(notes, heard)):.1%}")
    return heard


def _compared(run: DemoRun, notes: Sequence[Note], before: Sequence[str], after: Sequence[str]) -> None:
    """The word error rates, and the sentences that changed most with the words in brackets that nobody said."""
    rates = [word_error_rate(_pairs(notes, heard)) for heard in (before, after)]
    run.measured.compared["word error rate of the new notes"] = (rates[0], rates[1])
    run.story.print("\nWhat changed; in brackets are words that were not said", style="bold")
    run.story.print(f"  word error rate {rates[0]:.1%} → {rates[1]:.1%}")
    said = [text for _, text in notes]
    for line in sides({"said": said}, said, before, after):
        run.story.print(line)


def _subtitled(run: DemoRun, notes: Sequence[Note], home: Path) -> None:
    """All notes as one recording, and its subtitles beside it."""
    recording, subtitles = home / RECORDING, home / SUBTITLES
    with run.stage("subtitles", "Joining the notes to one recording, and asking for its subtitles"):
        try:
            seconds = write_joined([path for path, _ in notes], recording)
            text = run.client.subtitles(run.measured.reference, recording, "srt")
            subtitles.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"{home} cannot be written: {error.strerror}") from error
    lines = text.count(" --> ")
    told = f"  {duration(seconds)} of speech, {lines} subtitles: {printable(subtitles)}, for {printable(recording)}"
    run.story.print(told, soft_wrap=True)


def _pairs(notes: Sequence[Note], heard: Sequence[str]) -> list[tuple[str, str]]:
    return [(said, text) for (_, said), text in zip(notes, heard, strict=True)]

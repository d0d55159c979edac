from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from api.client import Client
from api.commands import demo_pictures, demo_text, demo_vision
from api.commands.demo_service import DemoService
from tests.api.canned_service import FAILED, JOB, LISTED, OFFERED, RUNNING, SUCCEEDED, TICKETS, CannedService
from tests.api.demo_fakes import demo_service, run_demo
from tests.api.picture_fakes import picture
from zoo.errors import Unavailable
from zoo.settings import Settings

SCORES = [{"label": "billing", "score": 0.9}, {"label": "returns", "score": 0.1}]
STAND_IN = """
import http.server, json, os, sys
home, port = sys.argv[sys.argv.index("--home") + 1], int(sys.argv[sys.argv.index("--port") + 1])
print("up with", sys.argv[1:], flush=True)
class Ok(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
    def log_message(self, *_): pass
with open(os.path.join(home, "service.json"), "w") as note:
    json.dump({"url": f"http://127.0.0.1:{port}", "pid": os.getpid()}, note)
http.server.HTTPServer(("127.0.0.1", port), Ok).serve_forever()
"""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[CannedService]:
    """A service in which everything goes well, in the place of the one that the demo would start."""
    examples = tmp_path / "examples"
    examples.mkdir()
    (examples / "tickets.csv").write_text("text,label\nwhere is my money,billing\n")
    (examples / "tickets_new.txt").write_text("my refund is late\n\ntake it back\n")
    monkeypatch.setattr(demo_text, "EXAMPLES", examples)
    with demo_service(monkeypatch) as running:
        running.says("GET", "/v1/models/minilm", OFFERED | {"id": "minilm"}, LISTED | {"parity": TICKETS["parity"]})
        running.says("POST", "/v1/models/minilm/predict", [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        running.says("GET", "/v1/models/tickets@1", TICKETS)
        running.says("POST", "/v1/models/tickets@1/predict", [SCORES, SCORES])
        yield running


def test_the_demo_tells_the_whole_story(service: CannedService, tmp_path: Path) -> None:
    result = run_demo(tmp_path)
    assert result.exit_code == 0, result.output
    told = [
        str(tmp_path / "home" / "demo"),
        "Importing the pre-trained model minilm",
        "0.80",
        "399 usable rows; billing 200, returns 199",
        "train  3/10",
        "before: frozen body + logistic regression",
        "my refund is late",
        "0.900 → 0.950",
        "4.1e-06",
        "300.0 kB",
        "90.0 MB",
        "predict tickets",
        "curl -s http://127.0.0.1:8000/v1/models/tickets/predict",
        "make serve",
    ]
    assert [part for part in told if part not in result.stdout] == []


def test_a_model_that_is_here_is_not_imported_again(service: CannedService, tmp_path: Path) -> None:
    service.says("GET", "/v1/models/minilm", LISTED)
    result = run_demo(tmp_path)
    assert "minilm is here already" in result.stdout
    assert not service.asked("POST", "/v1/models")


def test_the_job_of_a_demo_that_was_killed_does_not_stand_in_the_way(service: CannedService, tmp_path: Path) -> None:
    run_demo(tmp_path)
    assert len(service.asked("POST", "/v1/jobs/ftjob-old/cancel")) == 1


def test_everything_but_the_seed_is_left_automatic(service: CannedService, tmp_path: Path) -> None:
    run_demo(tmp_path)
    body = service.asked("POST", "/v1/fine_tuning/jobs")[0].json()
    assert body == {"model": "minilm", "training_file": "file-1", "suffix": "tickets", "seed": 1}


def test_json_holds_what_was_measured_and_nothing_else_is_on_stdout(service: CannedService, tmp_path: Path) -> None:
    data = json.loads(run_demo(tmp_path, "--json").stdout)
    assert (data["model"], data["adapter_bytes"], data["onnx_bytes"]) == ("tickets@1", 300000, 90000000)
    assert (data["before"], data["after"]) == (
        {"accuracy": 0.9, "macro_f1": 0.89},
        {"rows": 80, "accuracy": 0.95, "macro_f1": 0.94},
    )
    assert data["latency_ms"]["requests"] == 3
    assert {"start", "import", "upload", "adapt", "predict", "total"} <= data["seconds"].keys()


def test_a_failure_prints_its_reason_and_the_services_last_words(service: CannedService, tmp_path: Path) -> None:
    service.says("GET", "/v1/jobs/ftjob-1", FAILED)
    result = run_demo(tmp_path)
    assert result.exit_code == 1
    assert "Not enough memory." in result.stderr and "a line of the log" in result.stderr


def test_ctrl_c_ends_the_job_and_the_demo(
    service: CannedService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    service.says("GET", "/v1/models/minilm", LISTED)
    service.says("POST", "/v1/jobs/ftjob-1/cancel", JOB)
    monkeypatch.setattr("api.commands.follow.time.sleep", interrupt)
    assert run_demo(tmp_path).exit_code == 130
    assert len(service.asked("POST", "/v1/jobs/ftjob-1/cancel")) == 1


def test_without_the_examples_the_demo_says_where_to_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_text, "EXAMPLES", tmp_path)
    result = run_demo(tmp_path)
    assert result.exit_code == 65 and "make demo" in result.stderr


# ---- pictures

SIGNS = TICKETS | {"id": "signs@1", "modality": "image", "labels": list(demo_pictures.LABELS)}
PHOTO = [{"label": "daisy", "score": 0.9}]


@pytest.fixture
def gallery(service: CannedService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CannedService:
    """The same service for the demo of pictures; it takes every sign for a yield sign."""
    monkeypatch.setattr(demo_vision, "EACH", 2)
    monkeypatch.setattr(demo_vision, "EACH_NEW", 1)
    (tmp_path / "daisy.jpg").write_bytes(picture())
    monkeypatch.setattr(demo_vision, "photographs", lambda: [tmp_path / "daisy.jpg"])
    service.says("GET", "/v1/models/effnet-lite0", OFFERED, LISTED | {"parity": TICKETS["parity"]})
    service.says("POST", "/v1/models/effnet-lite0/predict", PHOTO)
    service.says("GET", "/v1/jobs/ftjob-1", RUNNING, SUCCEEDED | {"fine_tuned_model": "signs@1"})
    service.says("GET", "/v1/models/signs@1", SIGNS)
    service.says("POST", "/v1/models/signs@1/predict", [{"label": "yield", "score": 0.75}])
    return service


def test_the_demo_of_pictures_tells_the_whole_story(gallery: CannedService, tmp_path: Path) -> None:
    result = run_demo(tmp_path, "vision")
    assert result.exit_code == 0, result.output
    told = [
        "Importing the pre-trained model effnet-lite0",
        "daisy.jpg",
        "Drawing 6 kinds of road signs",
        "12 pictures in",
        "6 held back",
        "before: frozen body + logistic regression",
        "1 of 6 right",
        str(tmp_path / "home" / "demo" / "signs.png"),
        "0.900 → 0.950",
        "--draw out.png",
        "--data-binary @",
        "zoo adapt effnet-lite0",
    ]
    assert [part for part in told if part not in result.stdout.replace("\n", " ")] == []


def test_the_drawn_pictures_are_uploaded_as_a_zip_and_everything_but_the_seed_is_automatic(
    gallery: CannedService, tmp_path: Path
) -> None:
    run_demo(tmp_path, "vision")
    body = gallery.asked("POST", "/v1/files")[0].body
    sent = zipfile.ZipFile(io.BytesIO(body[body.index(b"PK") : body.rindex(b"PK") + 22]))
    assert len(sent.namelist()) == 12 and "stop/02.jpg" in sent.namelist()
    asked = gallery.asked("POST", "/v1/fine_tuning/jobs")[0].json()
    assert asked == {"model": "effnet-lite0", "training_file": "file-1", "suffix": "signs", "seed": 1}


def test_the_sheet_is_a_picture_of_the_held_back_signs(gallery: CannedService, tmp_path: Path) -> None:
    run_demo(tmp_path, "vision")
    with Image.open(tmp_path / "home" / "demo" / "signs.png") as sheet:
        assert sheet.format == "PNG" and sheet.width > 900
    assert len(list((tmp_path / "home" / "demo" / "signs_new").rglob("*.jpg"))) == 6


def test_without_photographs_the_demo_of_pictures_goes_on(
    gallery: CannedService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_vision, "photographs", list)
    result = run_demo(tmp_path, "vision")
    assert result.exit_code == 0 and "No photographs here" in result.stdout


def test_the_photographs_are_those_of_scikit_learn() -> None:
    assert [path.name for path in demo_vision.photographs()] == ["china.jpg", "flower.jpg"]


def test_a_demo_that_there_is_not_is_a_wrong_command_line(tmp_path: Path) -> None:
    assert run_demo(tmp_path, "smell").exit_code == 2


def test_the_same_seed_draws_the_same_signs_and_another_one_others(tmp_path: Path) -> None:
    sets = [demo_pictures.write_set(tmp_path / str(place), each=1, seed=seed) for place, seed in enumerate((1, 1, 2))]
    drawn = [[(label, path.read_bytes()) for label, path in made] for made in sets]
    assert drawn[0] == drawn[1]
    assert not {content for _, content in drawn[0]} & {content for _, content in drawn[2]}
    assert sorted(label for label, _ in drawn[0]) == sorted(demo_pictures.LABELS)


@pytest.mark.parametrize("label", demo_pictures.LABELS)
def test_a_drawn_sign_is_a_small_jpeg(label: str) -> None:
    content = demo_pictures.draw_sign(label, np.random.default_rng(0))
    drawn = Image.open(io.BytesIO(content))
    assert (drawn.format, drawn.size) == ("JPEG", (192, 192))
    assert len(content) < 40_000


# ---- the service of a demo


@pytest.fixture
def stand_in(tmp_path: Path) -> DemoService:
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    return DemoService(tmp_path / "demo", Settings(api_key=""), program=(sys.executable, str(script)))


def test_the_demos_service_runs_alone_and_ends_with_the_block(stand_in: DemoService) -> None:
    with stand_in as service, service.client() as client:
        assert client.alive()
        pid = json.loads((service.home / "service.json").read_text())["pid"]
    assert not is_running(pid)
    [line] = service.tail()
    assert "'--redis-url', ''" in line and "'--host', '127.0.0.1'" in line


def test_the_demos_service_ends_when_the_demo_fails(stand_in: DemoService) -> None:
    with pytest.raises(RuntimeError), stand_in as service:
        pid = json.loads((service.home / "service.json").read_text())["pid"]
        raise RuntimeError
    assert not is_running(pid)


def test_a_second_demo_on_the_same_folder_is_refused(stand_in: DemoService, tmp_path: Path) -> None:
    second = DemoService(tmp_path / "demo", Settings(api_key=""), program=(sys.executable, "-c", ""))
    with stand_in, pytest.raises(Unavailable, match="already runs on the demo's folder"), second:
        pass


def test_a_service_that_dies_at_its_start_is_reported_with_its_words(tmp_path: Path) -> None:
    program = (sys.executable, "-c", "print('no room'); raise SystemExit(78)")
    service = DemoService(tmp_path / "demo", Settings(api_key=""), program=program)
    with pytest.raises(Unavailable, match=r"ended at its start \(status 78\)"), service:
        pass
    assert service.tail() == ["no room"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_demo_that_is_killed_leaves_no_service_behind(tmp_path: Path) -> None:
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    home = tmp_path / "demo"
    code = (
        "import os, sys, pathlib; from zoo.settings import Settings; from api.commands.demo_service import DemoService;"
        " program = (sys.executable, sys.argv[2]);"
        " DemoService(pathlib.Path(sys.argv[1]), Settings(api_key=''), program=program).__enter__();"
        " os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(home), str(script)], check=False)
    assert killed.returncode == -signal.SIGKILL
    noted = json.loads((home / "service.json").read_text())
    deadline = time.monotonic() + 10
    with Client(noted["url"]) as client:
        while client.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not client.alive()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

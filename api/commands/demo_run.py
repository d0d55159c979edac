"""One run of a demo: the steps that every demo has, told as they happen and measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from api.client import Client
from api.commands.demo_summary import Measured
from api.commands.files import checked, problems_view, report_view
from api.commands.follow import TERMINAL_STATES, follow, product, succeeded
from api.commands.metrics import comparison, parity
from api.commands.terminal import duration, printable
from zoo.errors import InvalidInput, ZooError

TIMED_REQUESTS = 50
SEED = 1  # the same rows are held out each time, so that two runs can be compared


@dataclass
class DemoRun:
    """What the steps work with: the demo's own service, where the story is told, what was measured so far."""

    client: Client
    story: Console
    measured: Measured = field(default_factory=Measured)

    @contextmanager
    def stage(self, name: str, title: str) -> Iterator[None]:
        """Tell what is done, and in the end how long it took."""
        self.story.print(f"\n{title}", style="bold", soft_wrap=True)
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        self.measured.seconds[name] = self.measured.seconds.get(name, 0.0) + took
        self.story.print(f"  done in {duration(took)}")

    def end_leftovers(self) -> None:
        """A demo that was killed may have left its job in the queue; it would run before the new one."""
        for job in self.client.jobs().get("data", []):
            if job.get("status") not in TERMINAL_STATES:
                with suppress(ZooError):
                    self.client.cancel(str(job["id"]))

    def bring(self, body: str) -> None:
        """The pre-trained model: imported unless it is there."""
        state = self.client.model(body)
        if state.get("status") != "ready":
            title = f"Importing the pre-trained model {body}: download, export to ONNX, check"
            with self.stage("import", title):
                running = state.get("job") if state.get("status") == "importing" else None
                succeeded(follow(self.client, str(running or self.client.import_model(body)["id"]), self.story))
        else:
            self.story.print(f"\nThe pre-trained model {body} is here already", style="bold")
        self.measured.body = self.client.model(body)
        if told := parity(self.measured.body):
            self.story.print(f"  ONNX Runtime against torch: {told}", soft_wrap=True)

    def upload(self, data: Path, what: str) -> str:
        """Data to learn from, uploaded and checked; the id of the file."""
        with self.stage("upload", f"Uploading {data.name}: {what}"):
            stored = checked(self.client, self.client.upload(data))
        report = self.client.report(str(stored["id"]))
        if classes := ", ".join(f"{printable(one['label'])} {one['count']}" for one in report.get("classes", [])):
            self.story.print(f"  {report.get('usable_rows')} usable rows; {classes}", soft_wrap=True)
        for line in problems_view(report)[1:] if classes else report_view(report):
            self.story.print(line)
        if report.get("fatal"):
            raise InvalidInput(f"{data.name} cannot be trained on; restore it from the project's repository")
        return str(stored["id"])

    def adapt(
        self, body: str, what: str, name: str, file_id: str, *, epochs: int | None = None, validation: str | None = None
    ) -> None:
        """The data taught to the body; every choice of the training is left to the service, unless epochs are given.

        ``validation``: a file that takes the place of held-out rows.
        """
        asked: dict[str, Any] = {"model": body, "training_file": file_id, "suffix": name, "seed": SEED}
        if validation is not None:
            asked["validation_file"] = validation
        settings = "all settings automatic"
        if epochs is not None:
            settings = f"{epochs} epochs, to be quick; all other settings automatic"
            asked["hyperparameters"] = {"n_epochs": epochs}
        with self.stage("adapt", f"Adapting {body} to the {what} (LoRA; {settings})"):
            job = self.client.create_job(asked)
            try:
                job = succeeded(follow(self.client, str(job["id"]), self.story))
            except KeyboardInterrupt:
                with suppress(ZooError):
                    self.client.cancel(str(job["id"]))
                raise
        self.measured.job, self.measured.model = job, self.client.model(product(job))
        compared = comparison(self.measured.model)
        if compared is not None:
            self.story.print(compared)
        if told := parity(self.measured.model):
            self.story.print(
                f"  published, because ONNX Runtime answers as the trained model does: {told}", soft_wrap=True
            )

    def time_requests(self, what: str, ask: Callable[[], object]) -> None:
        """Seconds of each of 50 requests; one more goes first and is not counted."""
        title = f"Timing {TIMED_REQUESTS} predictions, {what} each, one after another"
        with self.stage("latency", title):
            taken = []
            for _ in range(TIMED_REQUESTS + 1):
                began = time.perf_counter()
                ask()
                taken.append(time.perf_counter() - began)
            self.measured.latencies = taken[1:]

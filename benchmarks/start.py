"""How long a service that has minilm needs to its first right answer, the memory it then holds, and its idle CPU time.

`python -m benchmarks.start`: ten starts with the Redis and the worker that the service brings; memory is that of the
serving process, idle time that of all of them.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

import httpx

from benchmarks.service import HOME, circumstances, cpu_seconds, service

STARTS = 10
SETTLED = 2.0  # seconds until the models are measured and all is imported
SETTLING, IDLE = 10.0, 60.0  # seconds until nothing of the start is left to do, and of the measurement


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process."""
    with open(f"/proc/{pid}/status") as file:
        line = next(line for line in file if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def one_start() -> tuple[float, float]:
    """Seconds from the start of the process to the first vector, and megabytes of it once everything has started."""
    command = [sys.executable, "-m", "api.cli", "serve", "--port", "0", "--home", str(HOME)]
    # As an installed service starts: its modules were compiled the first time that they were imported.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with httpx.Client(timeout=60, trust_env=False) as client:  # reads certificates, which is a cost of its own
        began = time.monotonic()
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as process:
            assert process.stdout is not None
            url = next(line for line in process.stdout if "http://" in line).split()[-1]
            answer = client.post(f"{url}/v1/models/minilm/predict", json={"inputs": "hello"})
            seconds = time.monotonic() - began
            assert len(answer.raise_for_status().json()[0]) == 384
            client.get(f"{url}/v1/jobs").raise_for_status()  # waits for what is imported behind the first answer
            time.sleep(SETTLED)
            memory = resident_megabytes(process.pid)
            process.terminate()
            process.wait(30)
    return seconds, memory


def idle_percent() -> float:
    """CPU time of a service that nobody asks, its Redis and worker with it, in percent of one core."""
    with service():
        time.sleep(SETTLING)
        before = cpu_seconds()
        time.sleep(IDLE)
        return (cpu_seconds() - before) / IDLE * 100


def main() -> None:
    """Measure and print medians and extremes."""
    idle = idle_percent()  # minilm is imported by it
    print(circumstances())
    print(f"idle: {idle:.2f} % of a core")
    one_start()  # compiles
    seconds, memory = zip(*(one_start() for _ in range(STARTS)), strict=True)
    print(f"first answer: median {statistics.median(seconds):.2f} s, {min(seconds):.2f} to {max(seconds):.2f} s")
    print(f"resident memory with minilm: median {statistics.median(memory):.0f} MB, at most {max(memory):.0f} MB")


if __name__ == "__main__":
    main()

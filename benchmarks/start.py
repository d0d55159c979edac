"""How long a service that has minilm needs to its first right answer, and the memory it then holds.

`python -m benchmarks.start`: ten starts without a job queue's worker, as on a serving machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import httpx

from benchmarks.service import HOME, circumstances, service

STARTS = 10


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process."""
    with open(f"/proc/{pid}/status") as file:
        line = next(line for line in file if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1000


def one_start() -> tuple[float, float]:
    """Seconds from the start of the process to the first vector, and megabytes of its process."""
    command = [sys.executable, "-m", "api.cli", "serve", "--port", "0", "--home", str(HOME)]
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        url = next(line for line in process.stdout if "http://" in line).split()[-1]
        answer = httpx.post(f"{url}/v1/models/minilm/predict", json={"inputs": "hello"}, timeout=60, trust_env=False)
        seconds = time.monotonic() - began
        assert len(answer.raise_for_status().json()[0]) == 384
        memory = resident_megabytes(process.pid)
        process.terminate()
        process.wait(30)
    return seconds, memory


def main() -> None:
    """Measure and print medians and extremes."""
    with service():
        pass  # minilm is imported
    print(circumstances())
    seconds, memory = zip(*(one_start() for _ in range(STARTS)), strict=True)
    print(f"first answer: median {statistics.median(seconds):.2f} s, {min(seconds):.2f} to {max(seconds):.2f} s")
    print(f"resident memory with minilm: median {statistics.median(memory):.0f} MB, at most {max(memory):.0f} MB")


if __name__ == "__main__":
    main()

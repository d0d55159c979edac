"""`make bench`: what needs no data of its own. The table of adaptation is `python -m benchmarks.adaptation DATA`."""

from __future__ import annotations

from benchmarks import start

if __name__ == "__main__":
    start.main()

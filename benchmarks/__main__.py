"""`make bench`: what needs no data and no environment of its own: starts, the engine, and what it does under faults.

The table of adaptation is `python -m benchmarks.adaptation DATA`, other servers are `python -m benchmarks.engine
--servers`.
"""

from __future__ import annotations

from benchmarks import engine, engine_faults, start

if __name__ == "__main__":
    start.main()
    engine.main()
    engine_faults.main()

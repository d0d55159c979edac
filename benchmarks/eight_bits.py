"""Adapted versions with weights of 8 bits beside the same in float32: what a job that asks for them publishes.

`python -m benchmarks.eight_bits DATA [--sets flowers5 …] [--seeds 1]`, where DATA holds a folder for each set with
`train.zip` and `test.zip` (a folder for each class). Both jobs learn the same from the same rows; accuracy on the whole
test part, through upload, queue, gate and predict. Bound and speed are those by which the job decided: of its own
held-out rows, one thread.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.labelled import PICTURES, ours, read
from benchmarks.service import MEDIA_HOME, circumstances, service

SETS = ("flowers5", "hymenoptera")
BODY = "effnet-lite0"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    print(circumstances(), "", "| set, seed | float32 | asked for int8 | served | loss | bound | speed |", sep="\n")
    print("|---|---|---|---|---|---|---|")
    with service(home=MEDIA_HOME, models=(BODY,)) as client:
        for name in asked.sets:
            archive = (asked.data / name / "train.zip").read_bytes()
            test = read(asked.data / name / "test.zip", PICTURES)
            for seed in range(asked.seeds):
                exact, _ = ours(client, BODY, archive, test, name=name, seed=seed)
                coarse, _ = ours(client, BODY, archive, test, name=name, seed=seed, precision="int8")
                served = client.get(f"/v1/models/{name}").json()
                trial = served["parity"]["int8"]
                speed = trial["fp32_milliseconds"] / trial["milliseconds"]
                figures = f"{trial['loss']:.4f} | {trial['most_loss']:.4f} | {speed:.2f}"
                print(
                    f"| {name}, {seed} | {exact:.4f} | {coarse:.4f} | {served['precision']} | {figures} |", flush=True
                )


if __name__ == "__main__":
    main()

"""Adapt a model to the tickets with the `openai` package, which needs nothing but another base_url."""

import os
import time
from pathlib import Path

from openai import OpenAI

URL = os.environ.get("ZOO_URL", "http://127.0.0.1:8000")
client = OpenAI(base_url=f"{URL}/v1", api_key=os.environ.get("ZOO_API_KEY", "none"))

with Path(__file__).with_name("tickets.csv").open("rb") as tickets:
    data = client.files.create(file=tickets, purpose="fine-tune")
print(f"{data.id}: {data.status}")

job = client.fine_tuning.jobs.create(model="minilm", training_file=data.id, suffix="tickets")
while job.status not in ("succeeded", "failed", "cancelled"):
    newest = client.fine_tuning.jobs.list_events(job.id, limit=1).data
    print(f"{job.id}: {job.status}", newest[0].message if newest else "")
    time.sleep(2)
    job = client.fine_tuning.jobs.retrieve(job.id)

if job.status != "succeeded":
    raise SystemExit(f"{job.status}: {job.error.message if job.error else 'no reason given'}")
print(f"{job.fine_tuned_model} is ready, trained on {job.trained_tokens} tokens")

vectors = client.embeddings.create(model="minilm", input=["Where is my parcel?", "It has not arrived."])
print(f"and minilm embeds: {len(vectors.data)} vectors of {len(vectors.data[0].embedding)} numbers")

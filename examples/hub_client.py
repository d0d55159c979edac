"""Ask the models through `huggingface_hub.InferenceClient`: the address of a model is all it has to know."""

import os
from pathlib import Path

from huggingface_hub import InferenceClient

URL = os.environ.get("ZOO_URL", "http://127.0.0.1:8000")
KEY = os.environ.get("ZOO_API_KEY", "none")

tickets = InferenceClient(model=f"{URL}/models/tickets", token=KEY)
for text in Path(__file__).with_name("tickets_new.txt").read_text(encoding="utf-8").splitlines():
    best = tickets.text_classification(text, top_k=1)[0]
    print(f"{best.label:<10} {best.score:.2f}  {text}")

minilm = InferenceClient(model=f"{URL}/models/minilm", token=KEY)
vectors = minilm.feature_extraction("Where is my parcel?")
print(f"minilm: {vectors.shape[-1]} numbers, the first is {vectors.ravel()[0]:.4f}")

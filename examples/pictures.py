"""Ask what is on a picture: `python examples/pictures.py photo.jpg`, after `zoo serve` and `zoo pull effnet-lite0`."""

import os
import sys

from huggingface_hub import InferenceClient

URL = os.environ.get("ZOO_URL", "http://127.0.0.1:8000")
KEY = os.environ.get("ZOO_API_KEY", "none")

eyes = InferenceClient(model=f"{URL}/models/effnet-lite0", token=KEY)
for path in sys.argv[1:]:
    print(path)
    for found in eyes.image_classification(path, top_k=3):
        print(f"  {found.score:.2f}  {found.label}")

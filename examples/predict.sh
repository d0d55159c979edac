#!/usr/bin/env bash
# The service with curl alone: one text, several texts, the same in the model's own address, embeddings.
set -euo pipefail
url=${ZOO_URL:-http://127.0.0.1:8000}
ask() { # path, body
  curl --silent --show-error --fail-with-body "$url$1" --json "$2" -H "authorization: Bearer ${ZOO_API_KEY:-none}"
  echo
}

ask /v1/models/tickets/predict '{"inputs": "my parcel is late again", "parameters": {"top_k": 2}}'
ask /v1/models/tickets@1/predict '{"inputs": ["charged twice!!", "cannot log in any more"]}'
ask /models/tickets '{"inputs": "the app closes by itself"}'
ask /v1/embeddings '{"model": "minilm", "input": "Where is my parcel?", "encoding_format": "float"}'

"""Object detection: a picture and its boxes, each with a class."""

from __future__ import annotations

from adapters.datasets.schema import Role, Schema

SCHEMA = Schema(
    task="object-detection",
    needs="a zip of pictures with boxes in one COCO JSON, or in metadata.jsonl under objects",
    layouts=("coco", "objects"),
    medium="image",
    annotation="boxes",
    roles=(Role(name="image", kind="file", names=("file_name", "filename", "file", "image", "image_path", "path")),),
)

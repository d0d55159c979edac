"""Image classification: a picture and its label."""

from __future__ import annotations

from adapters.datasets.schema import Role, Schema

_IMAGE = Role(
    name="image",
    kind="file",
    names=("file_name", "filename", "file", "image", "image_path", "path", "picture", "image_id", "img"),
)
SCHEMA = Schema(
    task="image-classification",
    needs="a zip of pictures with a folder for each class, or with metadata.csv that has file_name and label",
    layouts=("folders", "metadata"),
    medium="image",
    annotation="label",
    roles=(
        _IMAGE,
        Role(
            name="label",
            kind="category",
            names=("label", "labels", "class", "class_name", "category", "target", "tag", "y", "species", "breed"),
        ),
    ),
)

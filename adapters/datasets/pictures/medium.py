"""How data sets of pictures are read: their layouts, what they carry, and how a picture is measured."""

from __future__ import annotations

from collections import Counter

from adapters.datasets.media import folders
from adapters.datasets.media.kind import Kind
from adapters.datasets.media.labels import LabelJudge
from adapters.datasets.media.medium import Medium
from adapters.datasets.media.survey import Look
from adapters.datasets.pictures import coco, listed, masked
from adapters.datasets.pictures.boxes import BoxJudge
from adapters.datasets.pictures.fact import PictureFact, measure_mask, measure_picture, picture_figures
from adapters.datasets.pictures.pixels import MaskJudge
from adapters.datasets.pictures.sheet import draw_sheet

KIND = Kind(
    role="image",
    one="picture",
    many="pictures",
    verb="show",
    # formats that are not read count as pictures too, so that each of them is named as unreadable
    suffixes=frozenset(
        "jpg jpeg jpe jfif png webp bmp gif tif tiff heic heif avif jp2 ppm pgm pbm pnm tga ico psd svg eps".split()
    ),
    beside=("images",),
    repair="Save the picture again as JPEG or PNG, or delete it.",
)


def _hint(suffixes: Counter[str]) -> str:
    common = suffixes.most_common(1)[0][0] if suffixes else ""
    return {
        "xml": " Its XML files look like Pascal VOC: convert them to one COCO JSON.",
        "txt": " Its text files look like those of YOLO: convert them to one COCO JSON.",
        "json": " It has a JSON for each picture: convert them to one COCO JSON.",
        "csv": " It has a CSV: name it metadata.csv and give it the columns file_name and label.",
    }.get(common, "")


MEDIUM = Medium(
    kind=KIND,
    # pictures with masks or boxes lie in folders, too
    layouts=(masked.find, coco.find, listed.find, folders.find),
    judges={"label": LabelJudge, "boxes": BoxJudge, "mask": MaskJudge},
    looks={"image": Look(PictureFact, measure_picture), "mask": Look(PictureFact, measure_mask)},
    figures=picture_figures,
    hint=_hint,
    sheet=draw_sheet,
)

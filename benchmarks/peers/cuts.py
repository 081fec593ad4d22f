"""Cut a set into training and test images, once for all tools: one manifest that every tool reads."""

import csv
import hashlib
import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image as Picture

from benchmarks.peers.sets import ENLARGED, Image, find_set, list_images
from benchmarks.peers.tools.task import Row
from data_tools.splitting import cut_parts, join_units

TEST_FRACTION = 1 / 3
CAPS = {"train": 300, "test": 600}
ENLARGED_SIDE = 1024
COLUMNS = ("path", "label", "group", "split")


def make_cut(images: Sequence[Image], digests: Sequence[str], seed: int, caps: Mapping[str, int] = CAPS) -> list[Row]:
    """Two thirds to train, one third to test, stratified by class, never through a group or equal files.

    Parts that exceed their cap are thinned by whole groups, each class to its share. Rows are in the order of
    `images`; the group of a row holds everything that was kept together.
    """
    labels = [image.label for image in images]
    units = join_units([image.group for image in images], digests)
    parts = cut_parts(labels, units, {"test": TEST_FRACTION}, seed)
    names = _unit_names(images, digests, units)
    kept: set[int] = set()
    for part, cap in caps.items():
        members = [place for place, own in enumerate(parts) if own == part]
        kept |= _thin(members, labels, units, cap, random.Random(f"{part} {seed}"))
    return [
        Row(image.path, image.label, names[units[place]], parts[place])
        for place, image in enumerate(images)
        if place in kept
    ]


def _unit_names(images: Sequence[Image], digests: Sequence[str], units: Sequence[int]) -> dict[int, str]:
    """A unit is named by its first group, or by its images' digest, so that each is told apart."""
    names: dict[int, str] = {}
    for image, digest, unit in zip(images, digests, units, strict=True):
        names.setdefault(unit, image.group or f"file-{digest[:16]}")
    return names


def _thin(members: list[int], labels: Sequence[str], units: Sequence[int], cap: int, dice: random.Random) -> set[int]:
    """At most `cap` of the images `members`: whole units, drawn at random, as far as their class has room."""
    if len(members) <= cap:
        return set(members)
    counts = Counter(labels[place] for place in members)
    room = {label: cap * count // len(members) for label, count in counts.items()}
    places: defaultdict[int, list[int]] = defaultdict(list)
    for place in members:
        places[units[place]].append(place)
    order = sorted(places)
    dice.shuffle(order)
    kept: set[int] = set()
    for unit in order:
        need = Counter(labels[place] for place in places[unit])
        if all(count <= room[label] for label, count in need.items()):
            kept.update(places[unit])
            for label, count in need.items():
                room[label] -= count
    return kept


def prepare_cut(data: Path, set_name: str, seed: int, work: Path) -> Path:
    """The manifest of one cut, below `work`, with copies of its images beside it (enlarged, where the set says so).

    The images are copied once for all cuts: tailtune reads no paths that lead out of the manifest's folder.
    """
    image_set = find_set(set_name)
    images = list_images(data, image_set)
    source, target = data / image_set.folder, work / "sets" / set_name
    rows = make_cut(images, [_digest(source / image.path) for image in images], seed)
    is_enlarged = set_name.endswith(ENLARGED)
    written = []
    for row in rows:
        path = row.path + ".png" if is_enlarged else row.path
        if not (target / path).exists():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (enlarge if is_enlarged else shutil.copyfile)(source / row.path, target / path)
        written.append((path, row.label, row.group, row.split))
    manifest = target / f"cut-{seed}.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *written])
    return manifest


def enlarge(source: Path, target: Path) -> None:
    """Write the image as an RGB PNG whose longer side has 1024 pixels."""
    with Picture.open(source) as picture:
        rgb = picture.convert("RGB")
    ratio = ENLARGED_SIDE / max(rgb.size)
    size = (max(1, round(rgb.width * ratio)), max(1, round(rgb.height * ratio)))
    part = target.with_suffix(".part")
    rgb.resize(size, Picture.Resampling.LANCZOS).save(part, format="PNG")
    part.rename(target)  # a half-written file is never taken for a whole one


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

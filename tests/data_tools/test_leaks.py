"""Whatever leak is planted between given splits, the audit finds it, and finds none where none is."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from data_tools import DatasetSettings, prepare_dataset

SPLITS = ("train", "val", "test")
LABELS = ("cat", "dog")
EACH = 3


def write_set(folder: Path) -> list[str]:
    """Three pictures of each class and split, each of a patient of its own; their paths."""
    paths = []
    for number, (split, label, place) in enumerate(
        (split, label, place) for split in SPLITS for label in LABELS for place in range(EACH)
    ):
        path = f"{split}/{label}/p{number}_{place}.png"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 40), Image.Resampling.BICUBIC).save(folder / path)
        paths.append(path)
    return paths


places = st.tuples(st.integers(0, 17), st.sampled_from(SPLITS), st.sampled_from(LABELS))
kinds = st.sampled_from(["equal file", "near copy", "patient"])


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(kinds, places), max_size=4, unique_by=lambda plant: plant[1]))
@example([("equal file", (6, "train", "cat")), ("near copy", (6, "train", "dog"))])
def test_every_planted_leak_is_found(plants: list[tuple[str, tuple[int, str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_set(folder)
        expected = set()
        for number, (kind, (source, split, label)) in enumerate(plants):
            origin = paths[source]
            patient = origin.rsplit("/", 1)[1].split("_")[0] if kind == "patient" else f"q{number}"
            target = f"{split}/{label}/{patient}_extra{number}.png"
            if kind == "equal file":
                (folder / target).write_bytes((folder / origin).read_bytes())
                check = "duplicate_across_splits"
            elif kind == "near copy":
                Image.open(folder / origin).resize((60 + number, 60)).transpose(Image.Transpose.ROTATE_90).save(
                    folder / target
                )
                check = "near_duplicate_across_splits"
            else:
                pixels = np.random.default_rng(100 + number).integers(0, 256, (9, 9, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize((40, 40)).save(folder / target)
                check = "group_leakage"
            if origin.split("/")[0] != split:
                expected.add((check, frozenset((origin, target))))
        findings = prepare_dataset(folder, DatasetSettings(group=r"(p\d+|q\d+)_"), is_audit=True).findings
        rows = findings[findings["check"].str.contains("across_splits|group_leakage") & (findings["path"] != "")]
        found: dict[str, list[set[str]]] = {}
        for row in rows.itertuples():
            found.setdefault(str(row.check), []).append({str(row.path), str(row.other_path)})
        for check, pair in expected:
            # A set of several copies, or images of one patient, is told by a chain of pairs.
            assert check in found, (check, pair)
            assert any(pair & told for told in found[check]), (check, pair)
        # Where an equal file lies in another split, a near copy beside it is across splits too, from its side.
        spread = {source for _, (source, split, _) in plants if paths[source].split("/")[0] != split}
        copied = {source for kind, (source, _, _) in plants if kind == "near copy"}
        possible = {check for check, _ in expected} | ({"near_duplicate_across_splits"} if spread & copied else set())
        assert set(found) <= possible

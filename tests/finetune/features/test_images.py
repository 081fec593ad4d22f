"""Views are the pipeline's own, whoever makes them and whatever is kept."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data_tools import (
    Keeping,
    PixelStore,
    Preprocessing,
    build_training_pipeline,
    read_image,
    sample_seed,
)
from data_tools.probing import probe_images
from finetune.errors import InputError
from finetune.features import ImageViews, Viewer

PIPELINE = build_training_pipeline("standard", Preprocessing(16, 20, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25), "bicubic", 0.9))
VIEWS = (0, 2, 3)


def open_views(folder: Path, store: Path | None, workers: int = 0, views: tuple[int, ...] = VIEWS) -> ImageViews:
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    keeping = None if store is None else Keeping(PixelStore(store, 10**7), (PIPELINE.geometry,))
    digests = [probe.sha256 for probe in probe_images([folder / path for path in paths], keeping=keeping)]
    return ImageViews(folder, paths, Viewer(PIPELINE, 5, workers, keeping), views, digests)


@pytest.mark.parametrize(("workers", "ahead"), [(0, 0), (1, 0), (2, 0), (2, 3)])
@pytest.mark.parametrize("is_kept", [True, False])
def test_batches_hold_what_the_pipeline_makes(
    digits_folder: Path, tmp_path: Path, workers: int, ahead: int, is_kept: bool
) -> None:
    images = open_views(digits_folder, tmp_path if is_kept else None, workers)
    images.viewer = replace(images.viewer, ahead=ahead)
    batches = list(images.batches())
    assert len(batches) == images.batch_count
    made = torch.cat(batches)
    assert made.shape == (len(images), len(VIEWS), 3, 16, 20)
    assert batches[0].flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    for index in (0, 7, len(images) - 1):
        path = images.paths[index]
        for place, view in enumerate(VIEWS):
            expected = PIPELINE(read_image(digits_folder / path), sample_seed(5, view, path))
            assert np.array_equal(made[index, place].numpy(), expected)
    few = images.some(3)
    assert torch.equal(torch.cat(list(few.batches())), made[:3])
    turned = images.batches(order=[2, 0])
    assert torch.equal(torch.cat(list(turned)), made[[2, 0]])


def test_only_what_is_not_kept_must_still_be_there(digits_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    shutil.copytree(digits_folder, folder)
    kept, plain = open_views(folder, tmp_path / "pixels"), open_views(folder, None)
    expected = plain[0]
    (folder / plain.paths[0]).unlink()
    assert torch.equal(kept[0], expected)
    with pytest.raises(InputError, match="could be read at the start of the run and cannot now"):
        plain[0]


def test_a_process_that_makes_views_runs_no_threads_of_cv2(digits_folder: Path) -> None:
    import cv2

    cv2.setNumThreads(2)
    next(iter(open_views(digits_folder, None).batches()))
    assert cv2.getNumThreads() == 1


def test_who_stops_early_or_meets_a_fault_leaves_no_worker_behind(digits_folder: Path) -> None:
    before = threading.active_count()
    images = open_views(digits_folder, None, workers=2)
    begun = images.batches(views_per_batch=3)
    next(begun)
    begun.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    images.paths[3] = "gone.png"
    with pytest.raises(InputError, match=r"gone\.png could be read at the start"):
        list(images.batches())
    assert threading.active_count() == before

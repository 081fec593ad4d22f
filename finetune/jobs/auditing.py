"""The audit job: look over a folder or manifest, write what was found, train nothing."""

from collections.abc import Callable
from pathlib import Path

from data_tools import Dataset, Keeping, prepare_dataset, thumbnail_geometry
from data_tools.private import make_private_folder
from finetune.errors import EnvironmentFault, InputError
from finetune.files import write_bytes, write_csv, write_text
from finetune.jobs.data_settings import dataset_settings
from finetune.jobs.keeping import open_store, small_pictures
from finetune.progress import Track, untracked
from finetune.reporting.audit_page import render_audit
from recipes import Recipe

_MANIFEST_COLUMNS = ["path", "label", "group", "split"]


def audit(
    data: Path,
    recipe: Recipe,
    out: Path,
    *,
    manifest: Path | None = None,
    draw_preview: Callable[[Dataset], bytes] | None = None,
    workers: int = 0,
    track: Track = untracked,
) -> Dataset:
    """Write `dataset.csv`, `findings.csv` and `audit.html` to `out`; with `manifest`, the usable images to there.

    `draw_preview` makes `preview.png`: what the recipe does to some training images. Raises DataError when the data
    cannot be read, InputError for a manifest that could not name its images.
    """
    settings = dataset_settings(recipe)
    keeping = Keeping(open_store(recipe), (thumbnail_geometry(),), settings.scaling)
    dataset = prepare_dataset(data, settings, workers=workers, keeping=keeping, track=track, is_audit=True)
    if manifest is not None:
        write_manifest(dataset, manifest)
    try:
        make_private_folder(out)
    except OSError as error:
        raise EnvironmentFault(f"{out} cannot be written: {error.strerror}. Choose another --out.") from error
    write_csv(out / "dataset.csv", dataset.table)
    write_csv(out / "findings.csv", dataset.findings)
    preview = draw_preview(dataset) if draw_preview is not None else None
    if preview is not None:
        write_bytes(out / "preview.png", preview)
    pictures = small_pictures(dataset, keeping.settled(dataset.scaling))
    write_text(out / "audit.html", render_audit(dataset, pictures, preview))
    return dataset


def write_manifest(dataset: Dataset, manifest: Path) -> None:
    """A manifest of the usable images with the groups and splits that were audited.

    Raises InputError where `manifest` lies beside or below the images, since its paths must not lead upwards.
    """
    parent, root = manifest.resolve().parent, dataset.root.resolve()
    if not root.is_relative_to(parent):
        raise InputError(
            f"--write-manifest {manifest}: a manifest names images at or below its own folder; "
            f"put it into {dataset.root} or above, such as {dataset.root / manifest.name}"
        )
    if manifest.suffix.lower() != ".csv":
        raise InputError(f"--write-manifest {manifest}: must end in .csv, so that `finetune run` reads it.")
    start = root.relative_to(parent)
    rows = dataset.table[dataset.table["status"] == "ok"][_MANIFEST_COLUMNS]
    write_csv(manifest, rows.assign(path=[(start / path).as_posix() for path in rows["path"]]))

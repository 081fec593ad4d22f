"""A shared report says what the run's own says, and nothing about who, where and which images."""

import dataclasses
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from finetune.cli.main import main
from finetune.errors import InputError
from finetune.evaluation import read_predictions
from finetune.files import write_csv, write_json
from finetune.reporting import ReportContext, rebuild_report, share_report, sharing

SECRETS = ("patient-7", "patient-8", "Anna", "scan-", "/home/anna", "clinic-pc", "Linux-6.1", "private.safetensors")
LABELS = ("NORMAL", "PNEUMONIA")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with names in every place where there can be one."""
    folder, images = tmp_path / "run", tmp_path / "images"
    images.mkdir()
    rows = []
    for number in range(40):
        truth, score = number % 2, 0.1 + 0.8 * ((number * 7) % 40) / 40
        path = f"Anna/scan-{number:02d}.png"
        rows.append(
            (path, LABELS[truth], f"patient-{number // 3}", "test", LABELS[score > 0.5], 1 - score, score, "clinic-pc")
        )
        (images / path).parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 40), (number, 9, 9)).save(images / path)
    columns = ["path", "label", "group", "split", "predicted", *(f"score_{label}" for label in LABELS), "site"]
    folder.mkdir()
    write_csv(folder / "predictions.csv", pd.DataFrame(rows, columns=columns))
    finding = {
        "check": "group_leakage",
        "severity": "error",
        "path": rows[0][0],
        "other_path": "",
        "detail": "patient-7",
    }
    write_csv(folder / "findings.csv", pd.DataFrame([finding]))
    environment = {"versions": {"torch": "2.9"}, "seed": 0, "platform": "Linux-6.1", "data": str(images)}
    write_json(folder / "environment.json", environment | {"command": ["finetune", "run", "/home/anna/scans"]})
    recipe = "data:\n  metadata: /home/anna/Anna.csv\n  group: Anna-(.*)\nmodel:\n  weights: private.safetensors\n"
    (folder / "recipe.yaml").write_text(recipe + "evaluate:\n  confidence: 0.8\n")
    report = {"labels": LABELS, "warnings": ["All images of 'patient-7' are of 'NORMAL'."], "leakage": None}
    write_json(folder / "report.json", report)
    return folder


def texts(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".png")


def test_nothing_that_is_shared_names_images_groups_user_or_machine(run: Path) -> None:
    folder, _ = share_report(run, with_table=True)
    assert folder == run / "share"
    shared = texts(folder)
    assert [secret for secret in SECRETS if secret in shared] == []
    assert "data:image/jpeg" not in shared
    own = texts(rebuild_report(run)[0])
    assert {secret for secret in SECRETS if secret in own} == set(SECRETS)
    assert "data:image/jpeg" in own


def test_only_what_may_be_shared_is_written(run: Path) -> None:
    share_report(run)
    assert {path.name for path in (run / "share").iterdir()} == {
        *("report.txt", "report.csv", "report.json", "report.md", "report.html", "figures")
    }


def test_the_numbers_are_those_of_the_run(run: Path) -> None:
    own, shared = rebuild_report(run)[1], share_report(run)[1]
    assert (shared.overall, shared.per_class, shared.groups) == (own.overall, own.per_class, own.groups)
    assert own.groups == 14 < own.images
    told = [json.loads((folder / "report.json").read_text()) for folder in (run, run / "share")]
    assert [content.pop("warnings")[0] for content in told][0] == "All images of 'patient-7' are of 'NORMAL'."
    for content, begin in zip(told, ("patient-", "group-"), strict=True):
        assert all(name.startswith(begin) for name in content["by_group"].pop("left_out"))
        assert content["by_group"].pop("warnings")
    assert told[0] == told[1]


def test_a_code_stands_for_one_name_and_differs_from_share_to_share(run: Path, tmp_path: Path) -> None:
    tables = [
        read_predictions(share_report(run, tmp_path / name, with_table=True)[0] / "predictions.csv") for name in "ab"
    ]
    assert "site" not in tables[0].columns
    assert all(table["path"].str.fullmatch("image-[0-9a-f]{16}").all() for table in tables)
    assert all(table["group"].nunique() == 14 and table["path"].nunique() == 40 for table in tables)
    assert not set(tables[0]["path"]) & set(tables[1]["path"])
    assert not set(tables[0]["group"]) & set(tables[1]["group"])
    original = read_predictions(run / "predictions.csv").sort_values("score_NORMAL")
    coded = tables[0].sort_values("score_NORMAL")
    pairs = set(zip(original["group"], coded["group"], strict=True))
    assert len(pairs) == 14
    assert list(tables[0]["path"]) == sorted(tables[0]["path"])  # the order of the rows tells nothing


def test_a_warning_keeps_its_classes_and_codes_its_groups(run: Path) -> None:
    share_report(run)
    warning = json.loads((run / "share" / "report.json").read_text())["warnings"][0]
    assert re.fullmatch("All images of 'group-[0-9a-f]{16}' are of 'NORMAL'.", warning)


def test_what_stays_is_told(run: Path) -> None:
    share_report(run)
    page = (run / "share" / "report.html").read_text()
    for word in ("For research use only", "code names", "80&nbsp;% interval", "group leakage", "versions: torch"):
        assert word in page
    assert page.count("(left out)") == 3


def test_what_becomes_of_every_part_of_a_report_is_decided() -> None:
    decided = [*sharing.KEPT_FIELDS, *sharing.CHANGED_FIELDS, *sharing.DROPPED_FIELDS]
    assert sorted(decided) == sorted(field.name for field in dataclasses.fields(ReportContext))


def test_a_folder_with_something_private_in_it_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds recipe\.yaml, which is not to be passed on"):
        share_report(run, run)
    theirs = tmp_path / "elsewhere" / "predictions.csv"
    theirs.parent.mkdir()
    theirs.write_bytes((run / "predictions.csv").read_bytes())
    before = theirs.read_bytes()
    with pytest.raises(InputError, match=r"holds predictions\.csv"):
        share_report(theirs, theirs.parent, with_table=True)
    assert theirs.read_bytes() == before
    assert share_report(theirs)[0] == theirs.parent / "report" / "share"


def test_sharing_again_replaces_what_was_shared_but_leaves_no_old_table(run: Path) -> None:
    share_report(run, with_table=True)
    share_report(run, with_table=True)
    with pytest.raises(InputError, match=r"holds predictions\.csv"):
        share_report(run)


def test_the_command_shares(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["report", str(run), "--share"])
    assert str(run / "share" / "report.html") in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["report", str(run), "--with-table"])

"""`finetune cache` lists what a real run has left, and cleans what it is told to."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import finetune
from finetune.cache import CacheFolder
from finetune.cli.main import main
from recipes import Recipe


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


@pytest.fixture
def filled(digits_folder: Path, small_recipe: Recipe, tmp_path: Path, store: Path) -> Path:
    finetune.run(digits_folder, small_recipe, tmp_path / "run")
    return store


@pytest.fixture
def pixels(store: Path) -> list[Path]:
    """Two entries of pixels, one of which was used a hundred days ago."""
    folders = [store / "pixels" / name for name in ("aa11", "bb22")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(bytes(1500))
    old = time.time() - 100 * 86400
    os.utime(folders[0], (old, old))
    return folders


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    capsys.readouterr()
    assert call("cache", "list", "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_the_list_tells_what_a_run_has_stored(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = listed(capsys)
    kinds = [row["kind"] for row in found["entries"]]
    assert kinds.count("features") == 3
    assert found["total_bytes"] == sum(row["bytes"] for row in found["entries"])
    assert found["folder"] == str(filled)
    assert call("cache", "list") == 0
    printed = capsys.readouterr().out
    for row in found["entries"]:
        assert row["key"][:12] in printed
        assert row["is_whole"]
        assert not row["in_use"]
    assert "tf_efficientnet_lite0, " in printed
    assert "budget" in printed


def test_without_an_option_only_remains_and_half_built_entries_go(
    filled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = listed(capsys)["entries"][0]
    next(Path(first["folder"]).glob("0*.json")).unlink()
    (filled / ("0f" * 32)).mkdir()
    (filled / ("0f" * 32) / "checksums.json").write_text("{}")
    assert call("cache", "clean") == 0
    printed = capsys.readouterr().out
    assert "2 entries removed" in printed
    assert first["key"][:12] in printed
    assert call("cache", "clean") == 0
    assert "0 entries removed, 0 bytes freed." in capsys.readouterr().out
    assert [row["key"] for row in listed(capsys)["entries"] if row["kind"] == "features"] != []


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ([], []),
        (["--older-than", "99"], [0]),
        (["--older-than", "101"], []),
        (["--key", "bb"], [1]),
        (["--key", "bb", "--older-than", "99"], []),
        (["--older-than", "0"], [0, 1]),
        (["--all"], [0, 1]),
    ],
)
def test_the_options_choose_what_goes(
    pixels: list[Path], capsys: pytest.CaptureFixture[str], options: list[str], gone: list[int]
) -> None:
    assert call("cache", "clean", *options) == 0
    assert [number for number, folder in enumerate(pixels) if not folder.exists()] == gone
    assert f"{len(gone)} {'entry' if len(gone) == 1 else 'entries'} removed" in capsys.readouterr().out


def test_what_is_in_use_is_kept_and_named(pixels: list[Path], store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mark = CacheFolder(store).hold("pixels", "aa11")
    assert call("cache", "list") == 0
    assert "in use" in capsys.readouterr().out
    assert call("cache", "clean", "--all") == 0
    assert "kept    pixels aa11 (decoded pixels): in use by a running process" in capsys.readouterr().out
    assert [folder.exists() for folder in pixels] == [True, False]
    mark.release()


@pytest.mark.usefixtures("pixels")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--key", "ff"], "No entry"),
        (["--key", ""], "--key is empty"),
        (["--all", "--key", "aa"], "--all removes everything"),
        (["--older-than", "-1"], "--older-than"),
    ],
)
def test_bad_options_are_exit_code_2(capsys: pytest.CaptureFixture[str], options: list[str], words: str) -> None:
    assert call("cache", "clean", *options) == 2
    assert words in capsys.readouterr().err


def test_a_cache_that_cannot_be_read_is_exit_code_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TAILTUNE_CACHE", str(tmp_path / "file"))
    assert call("cache", "list") == 4
    assert "TAILTUNE_CACHE" in capsys.readouterr().err


@pytest.mark.usefixtures("pixels")
@pytest.mark.parametrize("arguments", [["cache", "list"], ["cache", "list", "--json"], ["cache", "clean"]])
def test_the_commands_import_no_torch(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom finetune.cli.main import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as stop: assert not stop.code\n"
        "heavy = {'torch', 'timm', 'numpy', 'pandas', 'albumentations', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

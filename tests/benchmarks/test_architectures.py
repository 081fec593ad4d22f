"""The survey of timm's architectures: a sample on every run, all of them when slow tests run."""

from pathlib import Path

import pytest
import timm
from click.testing import CliRunner

from benchmarks.architectures import cut_summary, document, is_enough, main, stage_summary
from benchmarks.cut_survey import CutRow, smallest_models, survey_cuts
from benchmarks.stage_survey import StageRow, survey_stages

PAGE = Path(__file__).parents[2] / "docs" / "architectures.md"
SAMPLE = {
    "byobnet": "test_byobnet",
    "convnext": "test_convnext",
    "coat": "coat_lite_tiny",
    "densenet": "densenet121",
    "efficientnet": "test_efficientnet",
    "levit": "levit_128s",
    "maxxvit": "test_coatnet",
    "resnet": "test_resnet",
    "vision_transformer": "test_vit",
    "xcit": "xcit_nano_12_p8_224",
}


def test_every_fortieth_architecture_resolves() -> None:
    rows = list(survey_stages(timm.list_models()[::40]))
    assert len(rows) == -(-len(timm.list_models()) // 40)
    assert [row for row in rows if row.takes_classifier and not row.is_resolved] == []


@pytest.mark.parametrize("policy", ["first-three", "scattered"])
@pytest.mark.parametrize("file", SAMPLE)
def test_a_sample_of_families_is_cut_exactly_in_both_types_and_modes_and_folds(file: str, policy: str) -> None:
    (row,) = survey_cuts({file: SAMPLE[file]}, [policy])
    assert row.is_exact, (row.reason, row.faults)
    assert row.errors.keys() == {f"{what} {bits}" for what in ("again", "folded", "eval", "train") for bits in (32, 64)}


def test_scattered_patterns_let_several_tensors_cross() -> None:
    (row,) = survey_cuts({"resnet": "test_resnet"}, ["scattered"])
    assert row.features > 1


def test_a_graph_that_cannot_be_traced_is_told_as_uncached() -> None:
    rows = list(survey_cuts({"gemma4_vit": "gemma4_vit_167m"}, ["first-three"]))
    assert "cannot be traced" in rows[0].reason
    assert "uncached: its graph cannot be traced" in "\n".join(cut_summary(rows))


def test_too_few_resolved_models_or_exact_cuts_are_not_enough() -> None:
    good, bad = StageRow("a", "f", "reductions"), StageRow("b", "f", reason="why")
    encoder = StageRow("c", "f", reason="takes no classifier", takes_classifier=False)
    assert is_enough([good] * 98 + [bad] * 2 + [encoder] * 9, [])
    assert not is_enough([good] * 97 + [bad] * 3, [])
    for policy in ("first-three", "scattered"):
        cut, uncut = CutRow("f", "m", policy, 64, 1), CutRow("f", "m", policy, 64, reason="why")
        assert is_enough([], [cut] * 95 + [uncut] * 3)
        assert not is_enough([], [cut] * 94 + [uncut] * 4)


def test_the_page_names_every_exception_with_its_reason() -> None:
    rows = [StageRow("a", "f", "reductions"), StageRow("b", "f", reason="no parameter in stem")]
    cuts = [CutRow("f", "a", "first-three", 64, 2), CutRow("f", "a", "scattered", 64, reason="random")]
    page = document(rows, cuts, "python -m benchmarks.architectures")
    assert "1 of 2 models (50.0 %)" in page
    assert "- b: no parameter in stem" in page
    assert "| f | 2 | 1 | reductions 1 | a, 64 | exact, 2 features | uncached: random |" in page


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--meta", "--sample", "400", "--out", str(tmp_path / "page.md")])
    assert done.exit_code == 0, done.output
    assert "4 of 4 models (100.0 %)" in done.output
    assert "| timm file |" in (tmp_path / "page.md").read_text()


@pytest.mark.slow
def test_all_architectures_resolve_as_the_page_says() -> None:
    rows = list(survey_stages(timm.list_models()))
    assert is_enough(rows, [])
    assert stage_summary(rows)[0] in PAGE.read_text()


@pytest.mark.slow
def test_one_model_of_every_file_is_cut_as_the_page_says() -> None:
    models = smallest_models(timm.list_models())
    rows = list(survey_cuts(models))
    assert len(models) == 98
    assert is_enough([], rows)
    assert all(line in PAGE.read_text() for line in cut_summary(rows))

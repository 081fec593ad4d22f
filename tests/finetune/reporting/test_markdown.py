"""report.md and the model card, as GitHub and the Hub read them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from finetune.files import write_json
from finetune.reporting import ReportContext, write_report
from finetune.reporting.templating import escape_markdown

NAMES = (
    *(
        "ants",
        "<script>alert(1)</script>",
        "{{7*7}}",
        "a|b",
        "`rm`",
        "__init__",
        "*bold*",
        "[x](http://y.z)",
        "@octocat",
    ),
    *("#1", "&lt;", "www.example.org", "$x$", "~~gone~~", "back\\slash", ":tada:", "stage_1"),
)
FREEZE = {
    "policy": "first-*",
    "stages": [],
    "trainable_parameters": 4,
    "frozen_parameters": 1000,
    "frozen_sha256_after": "ab",
    "verified": True,
}


def draw_answers() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    truth, predicted = rng.integers(0, len(NAMES), (2, 300))
    columns = {"path": "x", "label": [NAMES[k] for k in truth], "predicted": [NAMES[k] for k in predicted]}
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report beside a model."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "model").mkdir()
    write_json(folder / "model" / "config.json", {"architecture": "resnet18"})
    parts = ["train", "train", "val", "test"]
    rows = [(f"{n}.png", label, part, "ok") for label in NAMES for n, part in enumerate(parts)]
    dataset = pd.DataFrame(
        [*rows, ("broken.png", "ants", "train", "skipped")], columns=["path", "label", "split", "status"]
    )
    context = ReportContext(labels=NAMES, freeze=FREEZE, dataset=dataset, warnings=("the class '#1' is @small",))
    write_report(folder, draw_answers(), context)
    return folder


def read(text: str) -> list[list[list[str]]]:
    """The tables of a Markdown text as cells of plain text; a cell that holds more than text or bold fails."""
    tables: list[list[list[str]]] = []
    is_cell = False
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type == "inline" and is_cell:
            tables[-1][-1].append(plain(token))
        is_cell = token.type in ("th_open", "td_open")
    return tables


def plain(token: Any) -> str:
    kinds = {"text", "text_special", "strong_open", "strong_close", "html_inline"}
    assert {child.type for child in token.children} <= kinds, token.content
    assert {child.content for child in token.children if child.type == "html_inline"} <= {"<!-- -->"}
    return "".join(child.content for child in token.children if child.type != "html_inline")


def test_every_class_stands_in_the_table_under_its_own_name(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    measures, classes = read(text)
    assert [row[0] for row in classes[1:]] == list(NAMES)
    assert {len(row) for row in classes} == {7}
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    accuracy = told["overall"]["accuracy"]
    assert measures[1] == [
        "accuracy",
        f"{accuracy['value']:.3f}",
        f"{accuracy['low']:.3f} to {accuracy['high']:.3f}",
        "300.0",
    ]


def test_the_report_warns_first_and_proves_the_freezing(folder: Path) -> None:
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert 0 < text.index("> [!WARNING]") < text.index("small") < text.index("**Balanced accuracy")
    assert "Proven: every frozen value is the same, byte for byte, before and after training (sha256 `ab`)." in text
    assert "1,000 parameters frozen, 4 learned" in text
    assert text.endswith("**For research use only.** Not a medical device; not for diagnosis or treatment.\n")


def test_nobody_is_called_and_no_issue_is_named(folder: Path) -> None:
    for text in ((folder / "report.md").read_text(), (folder / "model" / "README.md").read_text()):
        shown = re.sub("&#([0-9]+);", lambda found: chr(int(found[1])), text.split("---\n")[-1])
        assert not re.search(r"@\w|\B#\d", shown)
        assert "@<!-- -->octocat" in shown


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1))
def test_any_text_comes_back_from_markdown_as_it_was(text: str) -> None:
    (inline,) = [
        token
        for token in MarkdownIt("commonmark").enable("table").parse(f"a {escape_markdown(text)} z")
        if token.children
    ]
    assert plain(inline) == f"a {text} z"


def test_the_card_has_the_hubs_front_matter_with_the_values_of_the_report(folder: Path) -> None:
    card = ModelCard.load(folder / "model" / "README.md")
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))["overall"]
    assert (card.data.library_name, card.data.pipeline_tag) == ("timm", "image-classification")
    assert "license" not in card.data.to_dict()
    results = card.data.eval_results
    assert {one.metric_type: one.metric_value for one in results} == {
        "accuracy": told["accuracy"]["value"],
        "balanced_accuracy": told["balanced_accuracy"]["value"],
        "f1": told["macro_f1"]["value"],
        "matthews_correlation": told["mcc"]["value"],
    }
    assert {(one.task_type, one.dataset_split) for one in results} == {("image-classification", "test")}
    assert {result["name"] for result in card.data.to_dict()["model-index"]} == {f"resnet18, {len(NAMES)} classes"}


def test_the_card_counts_the_usable_images_and_ends_in_the_limits(folder: Path) -> None:
    text = ModelCard.load(folder / "model" / "README.md").text
    data = read(text)[0]
    assert data[0] == ["class", "train", "val", "test"]
    assert data[1] == ["ants", "2", "1", "1"]
    assert data[-1] == [f"all {len(NAMES)} classes", *(str(n * len(NAMES)) for n in (2, 1, 1))]
    assert "For research use only" in text
    assert "is &#64;<!-- -->small" in text.split("## Limits")[1]


def test_without_a_model_there_is_no_card(tmp_path: Path) -> None:
    write_report(tmp_path, draw_answers())
    assert list(tmp_path.rglob("README.md")) == []

"""`recipes.reading`: YAML 1.2 as plain data, and nothing else."""

import tarfile
import time
from pathlib import Path

import pytest

from recipes import RecipeError, load_recipe
from recipes.reading import decode_yaml, parse_yaml

CORPUS = Path(__file__).parents[2].parent / "shared" / "data" / "bad_images.tar.gz"
FIXTURES = "bad_images/fixtures/recipes/"


def refusal(text: str) -> str:
    with pytest.raises(RecipeError) as caught:
        parse_yaml(text, "mine.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("mine.yaml")
    return message


@pytest.mark.parametrize(
    ("written", "read"),
    [("no", "no"), ("on", "on"), ("1e-3", 0.001), ("010", 10), ("12:30:45", "12:30:45"), ("true", True), ("~", None)],
)
def test_scalars_follow_yaml_1_2(written, read):
    value = parse_yaml(f"a: {written}", "mine.yaml")["a"]
    assert value == read
    assert type(value) is type(read)


def test_nothing_written_is_none():
    assert parse_yaml("# only a comment\n", "mine.yaml") is None


def test_a_doubled_key_is_refused_with_its_line():
    message = refusal("epochs: 1\nepochs: 100\n")
    assert message.startswith('mine.yaml, line 2, column 1: found duplicate key "epochs"')


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.mkdir [PWNED]", "!!python/name:os.system", "!foo bar", "!!set {a}"]
)
def test_a_tag_is_refused_and_nothing_is_executed(tag, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "is not read; write plain values" in refusal(f"a: 1\nx: {tag}")
    assert list(tmp_path.iterdir()) == []


def test_an_alias_bomb_is_refused_before_it_unfolds():
    lines = ["a: &a [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    started = time.monotonic()
    assert "unfolds to more than 10,000 values" in refusal("\n".join(lines))
    assert time.monotonic() - started < 2


def test_an_alias_and_a_merge_key_are_read():
    assert parse_yaml("a: &x {k: 1}\nb: *x\nc: {<<: *x, l: 2}", "mine.yaml")["c"] == {"k": 1, "l": 2}


def test_an_alias_to_itself_or_to_nothing_is_refused():
    assert "points to no finished anchor" in refusal("a: &a [*a]")
    assert "points to no finished anchor" in refusal("a: *nope")


def test_a_second_document_is_refused():
    assert refusal("epochs: 1\n---\nepochs: 2\n").startswith("mine.yaml, line 2: a second document begins")


def test_deep_nesting_is_refused():
    assert "is nested more than 20 levels deep" in refusal("x: " + "[" * 3000 + "]" * 3000)


def test_a_tab_is_refused_with_a_remedy():
    assert "indent with spaces" in refusal("a:\n\t- b\n")


@pytest.mark.parametrize("text", ["a: \x07", "a: 2026-13-01", "a: " + "9" * 5000, "a: [1", "<<: [1, 2]"])
def test_what_yaml_cannot_hold_is_one_line(text):
    assert refusal(text)


def test_a_byte_order_mark_is_dropped():
    assert decode_yaml(b"\xef\xbb\xbfseed: 1\n", "mine.yaml") == "seed: 1\n"


@pytest.mark.parametrize("content", ["group: café".encode("latin-1"), "seed: 1".encode("utf-16"), bytes(range(256))])
def test_another_encoding_is_refused_with_the_line(content):
    with pytest.raises(RecipeError, match=r"mine.yaml, line \d: is not UTF-8 text .*save it as UTF-8"):
        decode_yaml(content, "mine.yaml")


def test_a_file_too_large_for_a_recipe_is_refused():
    with pytest.raises(RecipeError, match="holds 200,000 bytes"):
        decode_yaml(b"#" * 200_000, "mine.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("- a\n- b\n", "got a list of 2"),
        ("resnet18\n", "got 'resnet18'"),
        ("# nothing\n", "is empty"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, said):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError, match=said):
        load_recipe(file)


def test_every_broken_recipe_of_the_corpus_is_refused(tmp_path, monkeypatch):
    if not CORPUS.is_file():
        pytest.skip("the shared corpus of broken recipes is not beside the repository")
    monkeypatch.chdir(tmp_path)
    refused = []
    with tarfile.open(CORPUS) as archive:
        members = [member for member in archive if member.name.startswith(FIXTURES) and member.isfile()]
        for member in members:
            file = tmp_path / Path(member.name).name
            held = archive.extractfile(member)
            assert held is not None
            file.write_bytes(held.read())
            with pytest.raises(RecipeError) as caught:
                load_recipe(file)
            assert str(file) in str(caught.value)
            refused.append(file.name)
    assert len(refused) == 34
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(refused)

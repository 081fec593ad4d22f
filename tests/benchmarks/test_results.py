"""Results as JSON lines: appended whole, read in order, broken lines named."""

from pathlib import Path

import click
import pytest

from benchmarks.results import append_result, is_recorded, read_results


def test_records_come_back_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "below" / "results.jsonl"
    assert read_results(path) == []
    records = [{"set": "ä\n", "value": 0.5}, {"set": "b", "value": None}]
    for record in records:
        append_result(path, record)
    assert read_results(path) == records


def test_a_line_that_was_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append_result(path, {"set": "a"})
    path.write_text(path.read_text() + '{"set": "b", "va')
    with pytest.raises(click.ClickException, match="line 2: no JSON record"):
        read_results(path)


def test_a_record_counts_as_there_where_all_that_is_wanted_agrees() -> None:
    records = [{"set": "a", "cut": 1, "value": 0.5}]
    assert is_recorded(records, {"set": "a", "cut": 1})
    assert not is_recorded(records, {"set": "a", "cut": 2})
    assert not is_recorded(records, {"set": "a", "seed": 1})

"""The page on bf16: what stands in it follows from the milliseconds."""

from click.testing import CliRunner

from benchmarks.arithmetic import WAYS, compose_page, main, measure_model


def test_a_row_tells_milliseconds_and_how_many_times_faster() -> None:
    row = ("net", {"fp32": 6.0, "autocast": 3.0, "ours": 2.0}, {"fp32": 8.0, "autocast": 16.0, "ours": 5.0})
    assert "| net | 6.00 | 3.00 (2.00) | 2.00 (3.00) | 8.00 | 16.00 (0.50) | 5.00 (1.60) |\n" in compose_page([row])


def test_every_way_is_measured_and_the_page_written(tmp_path) -> None:
    trunk, step = measure_model("mobilenetv3_small_050", rounds=1)
    assert trunk.keys() == step.keys() == WAYS.keys()
    assert min(*trunk.values(), *step.values()) > 0
    done = CliRunner().invoke(main, ["--model", "resnet10t", "--rounds", "1", "--out", str(tmp_path / "page.md")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "page.md").read_text() == done.output
    assert "| resnet10t | " in done.output

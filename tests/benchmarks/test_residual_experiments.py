"""The experiments of the residual-network guide: nets that differ in their shortcuts alone, tables, and refusals."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from benchmarks.residual_guide import amp, cifar, ddp
from benchmarks.residual_guide.__main__ import EXPERIMENTS, main
from benchmarks.residual_guide.depth import gradient_norms, measure_nets
from benchmarks.residual_guide.page import compose_table, put_table, replace_rows, rows_of
from benchmarks.residual_guide.rates import cosine_rates
from benchmarks.residual_guide.signal import measure_signal
from benchmarks.residual_guide.small_nets import Block, build_net, convolutions
from benchmarks.results import read_results
from recipes import load_recipe

TABLED = [name for name, held in EXPERIMENTS.items() if held.compose is not None]


@pytest.mark.parametrize("layers", [8, 20, 56])
def test_plain_and_residual_nets_differ_in_their_shortcuts_alone(layers: int) -> None:
    plain, residual = (build_net(layers, has_shortcuts=held, seed=0) for held in (False, True))
    assert len(convolutions(plain)) == len(convolutions(residual)) == layers - 1
    states = plain.state_dict(), residual.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(plain(images), residual(images))


def test_a_block_whose_branch_is_zero_gives_relu_of_its_input_only_with_a_shortcut() -> None:
    images = torch.randn(2, 8, 8, 8)
    for has_shortcut, expected in ((True, images.relu()), (False, torch.zeros_like(images))):
        block = Block(has_shortcut)
        with torch.no_grad():
            for parameter in block.parameters():
                parameter.zero_()
        assert torch.equal(block(images), expected)


def test_norms_of_gradients_are_those_of_the_convolutions_and_leave_nothing_behind() -> None:
    net = build_net(8, has_shortcuts=True, seed=0)
    images, targets = torch.randn(16, 1, 8, 8), torch.arange(16) % 10
    norms = gradient_norms(net, images, targets)
    assert len(norms) == 7
    assert min(norms) > 0
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_measured_net_learns_and_the_same_seed_gives_the_same_row() -> None:
    one, other = (measure_nets((8,), (0,), 2) for _ in range(2))
    assert one == other
    assert [(row["kind"], row["layers"]) for row in one] == [("plain", 8), ("residual", 8)]
    assert all(row["losses"][1] < row["losses"][0] for row in one)


def test_the_signal_lives_under_kaiming_and_dies_at_a_hundredth() -> None:
    kaiming, fixed = measure_signal(None, seed=0), measure_signal(0.01, seed=0)
    assert len(kaiming) == len(fixed) == 50
    assert 0.05 < kaiming[-1] < 20
    assert 0 < fixed[-1] < 1e-50
    assert measure_signal(None, seed=0, layers=3) == kaiming[:3]


def test_the_cosine_begins_at_the_peak_and_would_end_at_a_hundredth_of_it() -> None:
    rates = cosine_rates(10)
    assert rates[0] == 0.1
    assert rates == sorted(rates, reverse=True)
    assert 0.001 < rates[-1] < 0.005


def test_a_table_takes_its_place_on_the_page_and_nothing_else_moves() -> None:
    table = compose_table(["name", "number"], [["a", "1"]])
    page = "before\n<!-- table: x -->\nold\n<!-- end: x -->\nafter\n"
    made = put_table(page, "x", table)
    assert made == "before\n<!-- table: x -->\n| name | number |\n| --- | ---: |\n| a | 1 |\n<!-- end: x -->\nafter\n"
    assert put_table(made, "x", table) == made
    with pytest.raises(Exception, match="no place for the table of y"):
        put_table(page, "y", table)


def test_rows_of_one_experiment_replace_their_own_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    replace_rows(path, "b", [{"value": 1}, {"value": 2}])
    replace_rows(path, "a", [{"value": 3}])
    replace_rows(path, "b", [{"value": 4}])
    assert [(row["experiment"], row["value"]) for row in read_results(path)] == [("a", 3), ("b", 4)]
    assert rows_of(path, "a") == [{"experiment": "a", "value": 3}]


def test_brief_experiments_write_rows_figures_and_tables_twice_alike(tmp_path: Path) -> None:
    page = "".join(f"<!-- table: {name} -->\n<!-- end: {name} -->\n" for name in TABLED)
    kept = []
    for docs in (tmp_path / "one", tmp_path / "two"):
        docs.mkdir()
        (docs / "residual-guide.md").write_text(page)
        arguments = ["--brief", "--docs", str(docs), "--only", "depth", "--only", "signal"]
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        kept.append({path.relative_to(docs): path.read_bytes() for path in docs.rglob("*") if path.is_file()})
    assert kept[0] == kept[1]
    assert {path.name for path in kept[0]} == {"residual-guide.md", "residual_guide.jsonl", "depth.png", "signal.png"}
    assert "| plain, 8 layers |" in kept[0][Path("residual-guide.md")].decode()


def test_policies_are_compared_on_the_sets_of_a_folder_alone(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--only", "policies", "--docs", str(tmp_path)])
    assert done.exit_code == 1
    assert "needs DATA" in done.output


def test_what_needs_gpus_or_cifar_says_so_in_words(tmp_path: Path) -> None:
    refused = CliRunner().invoke(cifar.main, [str(tmp_path)])
    assert refused.exit_code == 1
    assert "is no CIFAR-10: neither batches.meta nor train/airplane/" in refused.output
    for part in ("train", "test"):
        for label in cifar.CLASSES:
            (tmp_path / part / label).mkdir(parents=True)
    if torch.cuda.is_available():
        pytest.skip("a GPU is here; the commands would run")
    for command, arguments in ((cifar.main, [str(tmp_path)]), (amp.main, []), (ddp.main, [])):
        refused = CliRunner().invoke(command, arguments)
        assert refused.exit_code == 1
        assert "CUDA devices needed" in refused.output


def test_cifar_is_trained_as_the_guide_does() -> None:
    recipe = load_recipe("small-images", cifar.guide_settings("resnet50", 200))
    assert (recipe.model.name, recipe.train.epochs, recipe.train.learning_rate) == ("resnet50", 200, 0.1)


def test_steps_are_timed_in_every_precision() -> None:
    found = amp.median_steps("resnet10t", torch.device("cpu"), batch=2, side=32, steps=1)
    assert found.keys() == {"fp32", "fp16", "bf16"}
    assert min(found.values()) > 0


@pytest.mark.slow
def test_processes_share_a_batch() -> None:
    assert ddp.time_processes("resnet10t", "cpu", 2, batch=4, side=32, steps=1) > 0

"""The plan of the comparison: interleaved, and the same images and weights for every tool."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.peers.__main__ import main
from benchmarks.peers.jobs import OWN_TOOLS, TOOLS, Job, Variant, plan_jobs
from benchmarks.peers.running_own import own_command
from benchmarks.peers.running_peer import peer_command


def test_tools_take_turns_on_each_cut_and_each_job_stands_once() -> None:
    jobs = list(plan_jobs(["brain_mri_yesno", "bccd_wbc"], ["tailtune", "plain"], [0, 1], Variant()))
    assert [(job.seed, job.set_name, job.tool) for job in jobs] == [
        (seed, name, tool)
        for seed in (0, 1)
        for name in ("brain_mri_yesno", "bccd_wbc")
        for tool in ("tailtune", "plain")
    ]
    assert len({job.folder for job in jobs}) == len({job.key for job in jobs}) == len(jobs)


def test_trainer_is_run_on_the_first_cut_alone_but_for_the_same_work() -> None:
    own_way = list(plan_jobs(["bccd_wbc"], TOOLS, [0, 1, 2], Variant()))
    assert [job.seed for job in own_way if job.tool == "trainer"] == [0]
    assert [job.seed for job in own_way if job.tool == "lightning"] == [0, 1, 2]
    same = list(plan_jobs(["bccd_wbc"], TOOLS, [0, 1, 2], Variant(policy="head-only")))
    assert [job.seed for job in same if job.tool == "trainer"] == [0, 1, 2]
    assert {job.tool for job in same} == {"tailtune", "tailtune-fp32", "plain", "fastai", "trainer", "lightning"}
    assert "tailtune-fp32" not in {job.tool for job in own_way}
    words = {tool: own_command(Job("bccd_wbc", tool, 0), Path("m"), "w", Path("o")) for tool in OWN_TOOLS}
    assert [tool for tool in OWN_TOOLS if "--precision" in words[tool]] == ["tailtune-fp32"]


@pytest.mark.parametrize("policy", [None, "first-three"])
def test_every_tool_gets_the_same_manifest_backbone_weights_and_seed(policy: str | None, tmp_path: Path) -> None:
    manifest = tmp_path / "cut-2.csv"
    for tool in TOOLS:
        job = Job("bccd_wbc", tool, 2, Variant("resnet18", True, policy))
        make = own_command if tool in OWN_TOOLS else peer_command
        words = make(job, manifest, "weights.safetensors", tmp_path / "out")
        assert str(manifest) in words
        given = dict(zip(words, words[1:], strict=False))
        assert (given["--model"], given["--weights"], given["--seed"]) == ("resnet18", "weights.safetensors", "2")
        if policy:
            assert (given["--epochs"], given["--batch-size"]) == ("10", "32")


def test_plan_prints_commands_that_run_takes(tmp_path: Path) -> None:
    places = ["--data", "my data", "--weights", "drawn", "--results", "r.jsonl", "--work", "w"]
    choice = ["--sets", "bccd_wbc", "--tools", "plain", "--seeds", "1", "--same-work", "full"]
    done = CliRunner().invoke(main, ["plan", *choice, *places])
    assert done.exit_code == 0, done.output
    assert done.output == (
        "python -m benchmarks.peers run --set bccd_wbc --tool plain --seed 1 --model tf_efficientnet_lite0 "
        "--same-work full --data 'my data' --weights drawn --results r.jsonl --work w --python .bench-env/bin/python\n"
    )

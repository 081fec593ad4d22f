"""The code in docs/freezing.md runs as it stands."""

import re
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).parents[3] / "docs" / "freezing.md"


def test_the_loop_on_the_page_runs_and_freezes() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(block, str(PAGE), "exec"), names)
    model, lock = names["model"], names["lock"]
    assert isinstance(model, torch.nn.Module)
    learning = {name for name, held in model.named_parameters() if held.requires_grad}
    assert {name.partition(".")[0] for name in learning} == {"layer3", "layer4", "fc"}
    with torch.no_grad():
        model.get_parameter("layer1.0.conv1.weight").add_(1e-3)
    with pytest.raises(Exception, match="have changed"):
        lock.verify()  # type: ignore[attr-defined]


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL))
def test_the_recipes_on_the_page_load(tmp_path: Path, block: str) -> None:
    from recipes import load_recipe

    (tmp_path / "mine.yaml").write_text(block)
    assert load_recipe(tmp_path / "mine.yaml").freeze.policy in (["stem", "stage1", "layer2.*.bn*"], "phases")

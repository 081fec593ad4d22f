"""The recipe of the residual guide, by the command in its first lines."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from finetune.cli.main import main
from recipes import recipe_text

EPOCHS = 5


@pytest.mark.usefixtures("store")
def test_its_command_runs_and_its_rates_are_those_of_cosine_annealing(digits_folder: Path, tmp_path: Path) -> None:
    (line,) = [line for line in recipe_text("residual-guide").splitlines() if line.startswith("# Run it:")]
    command = line.removeprefix("# Run it:").replace("DATA", str(digits_folder)).split()
    small = ["--epochs", str(EPOCHS), "--image-size", "32", "--batch-size", "8", "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as stop:
        main([*command[1:], *small])
    assert not stop.value.code
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = CosineAnnealingLR(optimizer, T_max=EPOCHS, eta_min=0.001)
    rates = []
    for _ in range(EPOCHS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert list(history["learning_rate"]) == pytest.approx(rates, rel=0, abs=1e-12)
    assert rates[0] == 0.1
    assert scheduler.get_last_lr() == pytest.approx([0.001])

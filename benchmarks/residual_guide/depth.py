"""What shortcuts do to depth: gradients at initialisation, and the loss that training reaches, on real digits."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import geometric_mean, mean

import torch
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.residual_guide.experiment import Experiment, Request
from benchmarks.residual_guide.page import compose_table
from benchmarks.residual_guide.small_nets import build_net, convolutions
from benchmarks.results import Record
from finetune.reporting.canvas import PALETTE, blank_figure, calm, png

LAYERS, SEEDS, EPOCHS = (8, 20, 56), (0, 1, 2), 20
_KINDS = {"plain": False, "residual": True}
_TRAINED, _BATCH, _RATE = 1437, 128, 0.1
"""Of 1,797 digits the first 1,437 train; the others were written by other people."""
_STYLES = dict(zip(LAYERS, (":", "--", "-"), strict=True))


def measure_nets(layers: Sequence[int] = LAYERS, seeds: Sequence[int] = SEEDS, epochs: int = EPOCHS) -> list[Record]:
    """A row for each number of layers, kind and seed: norms of gradients at the start, losses by epoch, accuracy."""
    rows: list[Record] = []
    with _one_thread():
        for count, kind, seed in product(layers, _KINDS, seeds):
            rows.append({"layers": count, "kind": kind, "seed": seed, **_measure_net(count, kind, seed, epochs)})
    return rows


@contextmanager
def _one_thread() -> Iterator[None]:
    """Nets this small gain nothing from more, and the order of sums does not depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _measure_net(layers: int, kind: str, seed: int, epochs: int) -> Record:
    images, targets = _digits()
    net = build_net(layers, has_shortcuts=_KINDS[kind], seed=seed)
    gradients = gradient_norms(net, images[:_BATCH], targets[:_BATCH])
    losses = _train(net, images[:_TRAINED], targets[:_TRAINED], epochs, seed)
    accuracy = _accuracy(net, images[_TRAINED:], targets[_TRAINED:])
    return {"accuracy": accuracy, "gradient_norms": gradients, "losses": losses}


def _digits() -> tuple[Tensor, Tensor]:
    """Images (1797, 1, 8, 8), 0 to 1, and their digits."""
    digits = load_digits()
    return torch.from_numpy(digits.images).float()[:, None] / 16, torch.from_numpy(digits.target)


def gradient_norms(net: nn.Module, images: Tensor, targets: Tensor) -> list[float]:
    """Norm of the loss's gradient with respect to the weights of each convolution, from the image on."""
    cross_entropy(net.train()(images), targets).backward()
    norms = [float(one.weight.grad.norm()) for one in convolutions(net) if one.weight.grad is not None]
    net.zero_grad(set_to_none=True)
    return norms


def _train(net: nn.Module, images: Tensor, targets: Tensor, epochs: int, seed: int) -> list[float]:
    """Mean training loss of each epoch, with batch statistics; SGD with momentum at a constant rate."""
    optimizer = torch.optim.SGD(net.parameters(), lr=_RATE, momentum=0.9, weight_decay=1e-4)
    generator, losses = torch.Generator().manual_seed(seed), list[float]()
    net.train()
    for _ in range(epochs):
        seen = []
        for batch in torch.randperm(len(images), generator=generator).split(_BATCH):
            loss = cross_entropy(net(images[batch]), targets[batch])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            seen.append(float(loss.detach()))
        losses.append(mean(seen))
    return losses


def _accuracy(net: nn.Module, images: Tensor, targets: Tensor) -> float:
    with torch.no_grad():
        return float((net.eval()(images).argmax(1) == targets).float().mean())


def _of(rows: Sequence[Record], layers: int, kind: str) -> list[Record]:
    return [row for row in rows if row["layers"] == layers and row["kind"] == kind]


def compose(rows: Sequence[Record]) -> str:
    """Means over the seeds; of the gradient the first layer's norm over that of the last."""
    lines = []
    for layers, kind in product(sorted({row["layers"] for row in rows}), _KINDS):
        found = _of(rows, layers, kind)
        ratio = geometric_mean(row["gradient_norms"][0] / row["gradient_norms"][-1] for row in found)
        last = [row["losses"][-1] for row in found]
        cells = [f"{ratio:,.2g}" if ratio < 100 else f"{ratio:,.0f}", f"{mean(last):.3f}"]
        cells += [f"{min(last):.3f} to {max(last):.3f}", f"{mean(row['accuracy'] for row in found):.3f}"]
        lines.append([f"{kind}, {layers} layers", *cells])
    return compose_table(
        ["network", "gradient, first over last", "training loss", "of the seeds", "accuracy on other writers"], lines
    )


def draw(rows: Sequence[Record], out: Path) -> None:
    """Two panels: norms of gradients by layer of the deepest networks, and losses by epoch of all."""
    figure = blank_figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    deepest = max(row["layers"] for row in rows)
    for colour, kind in zip(PALETTE, _KINDS, strict=False):
        norms = [row["gradient_norms"] for row in _of(rows, deepest, kind)]
        middle = [geometric_mean(values) for values in zip(*norms, strict=True)]
        left.plot(range(1, len(middle) + 1), middle, color=colour, label=kind)
        for layers in sorted({row["layers"] for row in rows}):
            _draw_losses(right, _of(rows, layers, kind), colour, f"{kind}, {layers}", _STYLES.get(layers, "-"))
    left.set_yscale("log")
    left.set_xlabel(f"convolution of {deepest - 1}, from the image on", fontsize=9)
    left.set_title("norm of the gradient at initialisation", fontsize=9)
    right.set_yscale("log")
    right.set_xlabel("epoch", fontsize=9)
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_title("training loss", fontsize=9)
    for axes in (left, right):
        calm(axes)
        axes.legend(frameon=False, fontsize=8)
    out.write_bytes(png(figure))


def _draw_losses(axes: Axes, rows: Sequence[Record], colour: str, label: str, style: str) -> None:
    means = [mean(values) for values in zip(*(row["losses"] for row in rows), strict=True)]
    axes.plot(range(1, len(means) + 1), means, style, color=colour, label=label)


def _measure(request: Request) -> list[Record]:
    rows = measure_nets((8,), (0,), 2) if request.is_brief else measure_nets()
    draw(rows, request.figures / "depth.png")
    return rows


DEPTH = Experiment(_measure, compose)

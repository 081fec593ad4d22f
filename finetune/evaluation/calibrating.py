"""Temperature scaling: one number, fitted on validation images, that makes confidence keep its word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special

from finetune.evaluation.losses import evaluate_probabilities
from finetune.evaluation.predictions import calibrated_column, normalise_predictions, score_column
from finetune.evaluation.probabilities import (
    CALIBRATION_BINS,
    are_probabilities,
    calibration_bins,
    why_no_probabilities,
)
from finetune.evaluation.result import Metric
from finetune.evaluation.split import Split, find_split

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FITTED_ON = "val"
FEWEST_IMAGES = 20
LARGEST = 20.0
"""Temperatures are looked for between 1 / LARGEST and LARGEST."""
_DIGITS = 6
_LEAST_SCORE = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Temperature:
    """The temperature, or why there is none, and the validation images it rests on.

    Each fold of a cross-validation has one of its own, fitted on its own validation images; `value` is their median.
    """

    value: float | None
    images: int
    reason: str | None = None
    by_fold: Mapping[str, float] | None = None

    def of_rows(self, folds: NDArray[np.object_]) -> Floats | float:
        """The temperature of each row, (rows, 1), or of all."""
        assert self.value is not None
        if self.by_fold is None:
            return self.value
        return np.array([[self.by_fold.get(fold, self.value)] for fold in folds])


@dataclass(frozen=True)
class Bin:
    """Images whose confidence lies in one tenth: their mean confidence and their share of right answers."""

    low: float
    high: float
    images: int
    confidence: float | None
    right: float | None


@dataclass(frozen=True)
class Calibration:
    """How well confidence keeps its word on the split reported, before and after; `after` empty without temperature."""

    temperature: Temperature
    before: Mapping[str, Metric]
    after: Mapping[str, Metric]
    bins_before: tuple[Bin, ...]
    bins_after: tuple[Bin, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before using the calibrated scores."""
        value = self.temperature.value
        if value is not None and not 1 / LARGEST < value < LARGEST:
            return (f"The temperature stands at the end of its range ({value:g}): calibrated scores mean little.",)
        return ()


def find_temperature(predictions: pd.DataFrame, labels: Sequence[str]) -> Temperature:
    """The temperature T that makes the log loss of softmax(log p / T) least on the validation rows.

    Guo et al. (2017). None, with the reason, where there are under 20 such rows, their scores are no probabilities,
    or every one of them is answered rightly: the loss then falls without end as T goes to 0. Six digits are kept,
    so that two machines agree.
    """
    return fit_split(find_split(predictions, tuple(labels), FITTED_ON, 0.95))


def fit_split(part: Split | None) -> Temperature:
    """The same for the validation part as arrays; None where there is none."""
    if part is None:
        return Temperature(None, 0, "there are no validation images to fit it on")
    if len(names := sorted(set(part.folds))) < 2:
        return _fit(part)
    fitted = {name: _fit(part.take(part.folds == name)) for name in names}
    values = {name: one.value for name, one in fitted.items() if one.value is not None}
    if len(values) < len(names):
        lacking = next(one for one in fitted.values() if one.value is None)
        return Temperature(None, lacking.images, f"in one fold {lacking.reason}")
    return Temperature(
        float(np.median(list(values.values()))), sum(one.images for one in fitted.values()), None, values
    )


def _fit(part: Split) -> Temperature:
    truth, scores, images = part.outcomes.truth, part.scores, len(part.outcomes.truth)
    reason = why_no_probabilities(scores)
    if scores is None or reason is not None:
        return Temperature(None, images, reason)
    if images < FEWEST_IMAGES:
        return Temperature(None, images, f"{images} validation images are too few to fit it on ({FEWEST_IMAGES})")
    if bool((scores[np.arange(images), truth] >= scores.max(axis=1)).all()):
        return Temperature(None, images, "every validation image is answered rightly, which tells no temperature")
    return Temperature(fit_temperature(scores, truth), images)


def fit_temperature(scores: Floats, truth: Ints) -> float:
    """The best temperature for scores (images, classes); the loss has one valley in log T, being convex in 1 / T."""
    logits, reach = _logits(scores), float(np.log(LARGEST))
    of_truth = logits[np.arange(len(truth)), truth]

    def loss(log_temperature: float) -> float:
        factor = float(np.exp(-log_temperature))
        return float((special.logsumexp(factor * logits, axis=1) - factor * of_truth).mean())

    found = optimize.minimize_scalar(loss, bounds=(-reach, reach), method="bounded", options={"xatol": 1e-8})
    return float(f"{np.exp(found.x):.{_DIGITS}g}")


def apply_temperature(scores: Floats, temperature: Floats | float) -> Floats:
    """softmax(log p / T) of scores (images, classes), T one number or (images, 1).

    Scores of 0 count as the least that a float64 tells from 0.
    """
    return np.asarray(special.softmax(_logits(scores) / temperature, axis=1), dtype=np.float64)


def _logits(scores: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(scores, _LEAST_SCORE)), dtype=np.float64)


def with_calibrated_scores(predictions: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """The table with a column `calibrated_<class>` a class; as it is where no temperature can be fitted."""
    table = normalise_predictions(predictions)
    temperature = find_temperature(table, labels).value
    if temperature is None:
        return predictions
    columns = [score_column(label) for label in labels]
    calibrated = apply_temperature(table[columns].to_numpy(dtype=np.float64), temperature)
    added = pd.DataFrame(calibrated, columns=[calibrated_column(label) for label in labels], index=predictions.index)
    return pd.concat([predictions, added], axis=1)


def calibrate(part: Split, temperature: Temperature) -> Split:
    """The split with calibrated scores; as it is without a temperature. Its answers stay."""
    if temperature.value is None or part.scores is None or not are_probabilities(part.scores):
        return part
    return replace(part, scores=apply_temperature(part.scores, temperature.of_rows(part.folds)))


def evaluate_calibration(part: Split, temperature: Temperature) -> Calibration:
    """Log loss, Brier score, calibration error and reliability of the plain and of the calibrated scores."""
    after = calibrate(part, temperature)
    is_fitted = after is not part
    return Calibration(
        temperature=temperature,
        before=evaluate_probabilities(part),
        after=evaluate_probabilities(after) if is_fitted else {},
        bins_before=reliability_bins(part),
        bins_after=reliability_bins(after) if is_fitted else (),
    )


def reliability_bins(part: Split) -> tuple[Bin, ...]:
    """The tenths of confidence, empty ones too; none where the scores are no probabilities."""
    if part.scores is None or not are_probabilities(part.scores):
        return ()
    confidence = part.scores.max(axis=1)
    bins = calibration_bins(confidence)
    is_right = (part.outcomes.predicted == part.outcomes.truth).astype(np.float64)
    images, said, right = (
        np.bincount(bins, weights=weights, minlength=CALIBRATION_BINS)
        for weights in (np.ones_like(confidence), confidence, is_right)
    )
    return tuple(
        Bin(
            number / CALIBRATION_BINS,
            (number + 1) / CALIBRATION_BINS,
            int(images[number]),
            float(said[number] / images[number]) if images[number] else None,
            float(right[number] / images[number]) if images[number] else None,
        )
        for number in range(CALIBRATION_BINS)
    )

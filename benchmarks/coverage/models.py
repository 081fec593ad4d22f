"""Test sets whose true metrics are known: images with scores, alone or in patients.

An image of class k has one number a class, x = d e_k + z, where z is standard normal; its scores are the softmax of
d x, which are the true probabilities where classes are balanced, and its answer is the largest. Every class is
therefore found equally often, and `d` is set so that this is the accuracy of the design. In patients
z = sqrt(r) u + sqrt(1 - r) e, where u is the patient's own and e the image's: a patient's images are drawn to the same
classes. `r` is set so that two answers to images of one class and patient, right or wrong, correlate by 0.5. A single
image does not know of patients, so the true values are those of independent images.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.coverage.cells import CONFIDENCE
from finetune.evaluation.counts import Outcomes
from finetune.evaluation.split import Split

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CORRELATION = 0.5
IMAGES_PER_PATIENT = 5
_LARGE = 400_000
_HALVINGS = 16


@dataclass(frozen=True)
class Design:
    """One cell: `shares` of the classes, the share of right answers, and images or patients (0: every image alone).

    `drawn`: the class of each image is drawn by itself, so that a patient may hold several; sets that lack a class are
    drawn anew. Else every class has its share of the images, or of the patients, who then hold one class each.
    """

    shares: tuple[float, ...]
    accuracy: float
    images: int
    patients: int = 0
    drawn: bool = False

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.shares)


def draw_scores(design: Design, rng: np.random.Generator) -> tuple[Ints, Ints, Floats]:
    """Class and group of each image of one set, and the logarithms of its scores."""
    truth, group = _draw_classes(design, rng)
    noise = rng.normal(size=(len(truth), design.classes))
    if design.patients:
        shared = patient_part(design.classes, design.accuracy)
        own = rng.normal(size=(design.patients, design.classes))
        noise = np.sqrt(shared) * own[group] + np.sqrt(1 - shared) * noise
    return truth, group, _log_scores(noise, truth, signal(design.classes, design.accuracy))


def as_split(truth: Ints, group: Ints, scores: Floats) -> Split:
    """One set as the evaluation takes it."""
    classes = scores.shape[1]
    outcomes = Outcomes(truth, scores.argmax(axis=1), group, classes, int(group.max()) + 1)
    return Split.of(outcomes, scores, tuple(f"class {k}" for k in range(classes)), CONFIDENCE)


def true_values(design: Design) -> dict[str, float]:
    """Every metric of an endless set.

    Balanced accuracy, macro F1 and MCC follow from the shares and the accuracy. The area of two classes is Phi(d); that
    of more, log loss and Brier score are those of a draw of 400,000 images a class.
    """
    shares = np.array(_shares_of_set(design))
    classes, right = design.classes, design.accuracy
    wrong = (1 - right) / (classes - 1)
    calls = shares * right + (1 - shares) * wrong
    spread = (1 - (shares**2).sum()) * (1 - (calls**2).sum())
    losses = _large_draw(classes, right)[0]
    true_scores = np.exp(losses[:, 0])
    brier = ((np.exp(losses) - np.eye(classes)[0]) ** 2).sum(axis=1).mean() * (0.5 if classes == 2 else 1.0)
    return {
        "balanced_accuracy": right,
        "roc_auc": _true_area(classes, right, shares),
        "macro_f1": float((2 * shares * right / (shares + calls)).mean()),
        "mcc": float((right - (shares * calls).sum()) / np.sqrt(spread)),
        "log_loss": float(-np.log(true_scores).mean()),
        "brier": float(brier),
    }


@cache
def signal(classes: int, accuracy: float) -> float:
    """The `d` at which the largest score is right that often."""
    if classes == 2:
        return float(np.sqrt(2) * stats.norm.ppf(accuracy))
    noise = _noise(classes, 0)
    return float(np.quantile(noise[:, 1:].max(axis=1) - noise[:, 0], accuracy))


@cache
def patient_part(classes: int, accuracy: float) -> float:
    """The `r` at which two answers to images of one class and patient correlate by `CORRELATION`, by halving."""
    own, first, second = (_noise(classes, number) for number in (1, 2, 3))
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        shared = (low + high) / 2
        right = [_is_right(np.sqrt(shared) * own + np.sqrt(1 - shared) * one, accuracy) for one in (first, second)]
        correlation = np.corrcoef(right[0], right[1])[0, 1]
        low, high = (shared, high) if correlation < CORRELATION else (low, shared)
    return (low + high) / 2


def _is_right(noise: Floats, accuracy: float) -> NDArray[np.bool_]:
    return np.asarray(noise[:, 0] + signal(noise.shape[1], accuracy) > noise[:, 1:].max(axis=1))


def _true_area(classes: int, accuracy: float, shares: Floats) -> float:
    """Mean over the classes of the area against the rest, whose classes come in their shares."""
    if classes == 2:
        return float(stats.norm.cdf(signal(classes, accuracy)))
    by_class = _large_draw(classes, accuracy)
    areas = []
    for k in range(classes):
        beaten = [np.searchsorted(np.sort(other[:, k]), by_class[k][:, k]).mean() / _LARGE for other in by_class]
        rest = np.where(np.arange(classes) == k, 0.0, shares)
        areas.append(float(rest @ beaten / rest.sum()))
    return float(np.mean(areas))


@cache
def _large_draw(classes: int, accuracy: float) -> tuple[Floats, ...]:
    """Log scores of many images of each class: (images, classes) a class."""
    strength = signal(classes, accuracy)
    targets = (np.full(_LARGE, k) for k in range(classes))
    return tuple(_log_scores(_noise(classes, 4 + k), truth, strength) for k, truth in enumerate(targets))


@cache
def _noise(classes: int, number: int) -> Floats:
    return np.random.default_rng([classes, number]).normal(size=(_LARGE, classes))


def _log_scores(noise: Floats, truth: Ints, strength: float) -> Floats:
    values = noise.copy()
    values[np.arange(len(truth)), truth] += strength
    values *= strength
    values -= values.max(axis=1, keepdims=True)
    return np.asarray(values - np.log(np.exp(values).sum(axis=1, keepdims=True)))


def _draw_classes(design: Design, rng: np.random.Generator) -> tuple[Ints, Ints]:
    images, repeats = _images(design), IMAGES_PER_PATIENT if design.patients else 1
    group = np.repeat(np.arange(images // repeats), repeats)
    if not design.drawn:
        return np.repeat(np.arange(design.classes), _apportion(images // repeats, design.shares))[group], group
    while True:
        truth = rng.choice(design.classes, images, p=design.shares)
        if len(np.unique(truth)) == design.classes:
            return truth, group


def _images(design: Design) -> int:
    return design.patients * IMAGES_PER_PATIENT if design.patients else design.images


def _shares_of_set(design: Design) -> tuple[float, ...]:
    """The classes' shares as they are in a set: whole images or patients cannot always have them as wanted."""
    units = design.patients or design.images
    return design.shares if design.drawn else tuple(float(n) / units for n in _apportion(units, design.shares))


def _apportion(units: int, shares: tuple[float, ...]) -> Ints:
    """Whole units a class, the largest remainders rounded up."""
    wanted = np.array(shares) * units
    whole = np.floor(wanted + 1e-9).astype(np.int64)
    whole[np.argsort(whole - wanted, kind="stable")[: units - whole.sum()]] += 1
    return whole

"""Numbers of a report in plain words."""

import numpy as np

from finetune.evaluation import Evaluation, Metric


def percent(share: float) -> str:
    """`share` of 1 as a whole percentage; near the ends with the digit that tells it from 0 or 100."""
    number = 100 * share
    near_end = 0 < number < 0.5 or 99.5 < number < 100
    if near_end and f"{number:.1f}" not in ("0.0", "100.0"):
        return f"{number:.1f}"
    return f"{number:.0f}"


def class_sentence(evaluation: Evaluation, k: int, confidence: float) -> str:
    """What becomes of the images of class `k`: "misses 3 of 70 (4 %, 95 % interval 1 to 12 %), mostly as bees"."""
    label, name = evaluation.labels[k], _name(evaluation.labels[k])
    row = evaluation.confusion_matrix[k]
    support, hits = int(row.sum()), int(row[k])
    if support == 0:
        return f"no {name} among the images, so nothing is known about it"
    interval = _missed_interval(evaluation.per_class[label]["recall"], confidence)
    whose = name if evaluation.repeats == 1 else f"answers on {evaluation.support[label]} {name}"
    if hits == support:
        found = "the only one" if support == 1 else f"all {support}"
        return f"finds {found} of {whose} (misses 0 %, {interval})"
    missed = support - hits
    sentence = f"misses {missed} of {support} {whose} ({percent(missed / support)} %, {interval})"
    others = np.where(np.arange(len(row)) == k, 0, row)
    taken_for = int(others.argmax())
    how = "all" if others[taken_for] == missed else "mostly" if 2 * others[taken_for] > missed else "most often"
    return f"{sentence}, {'' if how == 'all' and missed == 1 else how + ' '}as {_name(evaluation.labels[taken_for])}"


def answer_sentence(evaluation: Evaluation, k: int, confidence: float) -> str:
    """What stands behind the answers of class `k`."""
    label, name = evaluation.labels[k], _name(evaluation.labels[k])
    calls = int(evaluation.confusion_matrix[:, k].sum())
    if calls == 0:
        return f"The model never answered {name}."
    right = int(evaluation.confusion_matrix[k, k])
    metric = evaluation.per_class[label]["precision"]
    interval = f"{percent(confidence)} % interval {percent(metric.low or 0.0)} to {percent(metric.high or 0.0)} %"
    times = f"{right} time{'' if right == 1 else 's'} of {calls}"
    return f"When it answers {name}, it is right {times} ({percent(right / calls)} %, {interval})."


def _name(label: str) -> str:
    """A class in a sentence, told from the numbers around it."""
    return f"'{label}'" if label[:1].isdigit() else label


def _missed_interval(recall: Metric, confidence: float) -> str:
    low, high = 1 - (recall.high or 0.0), 1 - (recall.low or 0.0)
    return f"{percent(confidence)} % interval {percent(low)} to {percent(high)} %"

"""Differences between metrics of independent sets of images."""

import math

from finetune.evaluation.result import Metric, undefined

_METHOD = "MOVER, unpaired"


def difference_of(one: Metric, other: Metric) -> Metric:
    """`one` minus `other`, both of independent images, with an interval from their own (MOVER).

    Newcombe (1998), method 10, for proportions; Zou and Donner (2008) for any two intervals. Without a value where one
    of them has none, without bounds where one of them has none.
    """
    if one.value is None or other.value is None:
        return undefined((one.reason if one.value is None else other.reason) or "one of the two is undefined")
    value = one.value - other.value
    if one.low is None or one.high is None or other.low is None or other.high is None:
        reason = one.reason if one.low is None else other.reason
        return Metric(value, None, None, None, None, reason or "one of the two has no interval")
    low = value - math.hypot(one.value - one.low, other.high - other.value)
    high = value + math.hypot(one.high - one.value, other.value - other.low)
    return Metric(value, low, high, _METHOD, None)

"""Work out how deep values become levels, once the training images are known, and tell it."""

from collections.abc import Sequence

from data_tools.auditing import Record
from data_tools.columns import NOTE, TRAIN
from data_tools.errors import DataError
from data_tools.samples import Finding
from data_tools.scaling import Scaling
from data_tools.wording import counted


def settle_scaling(records: Sequence[Record], scaling: Scaling) -> tuple[Scaling, list[Finding]]:
    """The scaling without anything open, and a note on it where there are deep values.

    Raises DataError where percentiles of training images are asked for and none of them is deep, though others are.
    """
    deep = [record for record in records if record.is_ok and record.probe.quantiles]
    if not deep:
        return scaling, []
    training = [record.probe.quantiles for record in deep if record.sample.split == TRAIN]
    if scaling.is_open and not training:
        raise DataError(
            f"data.scaling percentiles: {deep[0].sample.path} has 16-bit or float values, but no training image has; "
            "give a range instead"
        )
    settled = scaling.settled(training)
    least, most = (edge(record.probe.quantiles[place] for record in deep) for edge, place in ((min, 0), (max, -1)))
    how = f"{settled.low:g} to {settled.high:g} become 0 to 255" if settled.rule == "range" else "by the bits declared"
    if scaling.is_open:
        how += f" (percentiles {scaling.low:g} and {scaling.high:g} of the training images)"
    text = f"{counted(len(deep), 'image')} of 16-bit or float values, {least:g} to {most:g}: {how}"
    return settled, [Finding("scaling", NOTE, "", "", text)]

"""Errors that a user can act on; the command line turns each into one message and exit code 2.

DataError           the data that were given cannot be used as they are
└── ImageError      one file that is no image we can read
"""

from collections.abc import Sequence


class DataError(Exception):
    """The data cannot be used; the message says what was found and what to do."""


class ImageError(DataError):
    """One file that cannot be decoded; the message is the reason alone, without the path."""


def faults_error(subject: str, faults: Sequence[str]) -> DataError:
    """One error that tells every fault of `subject` at once."""
    if len(faults) == 1:
        return DataError(f"{subject}: {faults[0]}")
    return DataError(f"{subject} has {len(faults)} faults\n" + "\n".join(f"  {fault}" for fault in faults))

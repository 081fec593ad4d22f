"""Errors that a user can act on; the command line turns each into one line and an exit code.

TailtuneError
├── InputError          exit 2: what was given is wrong
│   ├── WeightsError    a weights file that cannot be used
│   └── FreezeError     a policy that does not fit the backbone
│       └── NoClassifierError   a network that names no classes: an encoder
└── EnvironmentFault    exit 4: the machine lacks something (network, disk, permission)
    └── FeaturesTooLargeError   features that half precision cannot hold
"""


class TailtuneError(Exception):
    """Base of every error that finetune raises on purpose."""

    exit_code = 2


class InputError(TailtuneError):
    """What the user gave cannot be used; the message says what to change."""


class WeightsError(InputError):
    """A weights file that is broken, unsafe or made for another network."""


class FreezeError(InputError):
    """A freeze policy that does not fit its backbone."""


class NoClassifierError(FreezeError):
    """A network without a classifier, which none of ours can give it."""


class EnvironmentFault(TailtuneError):  # noqa: N818, EnvironmentError is a builtin
    """The machine lacks what the run needs: network, disk space, a permission."""

    exit_code = 4


class FeaturesTooLargeError(EnvironmentFault):
    """Features with numbers that the type they are stored in cannot hold."""

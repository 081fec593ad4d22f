"""What can go wrong in a comparison, told in one line."""


class PeerError(Exception):
    """A comparison cannot go on: what is wrong, what was seen, what to do."""

"""Numbers with their nouns."""


def counted(count: int, noun: str) -> str:
    """'1 file', '2 files', '3 classes'."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{ending}"

"""Reading sizes that people wrote."""

import re

from .writing import UNITS

_PATTERN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?i?B)\s*", re.IGNORECASE)


def parse(text: str) -> int:
    """Return the bytes in a text such as ``1.5 KiB``.

    :raises ValueError: when the text is not a size
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"not a size: {text!r}")
    units = [unit.lower() for unit in UNITS]
    try:
        factor = 1024 ** units.index(match[2].lower())
    except ValueError:
        raise ValueError(f"not a unit: {match[2]}") from None
    return round(float(match[1]) * factor)

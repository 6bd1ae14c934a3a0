"""Writing sizes for people."""

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def write(size: int) -> str:
    """Return a size in the largest unit in which it is at least 1, with one decimal place.

    Sizes below one KiB are written in whole bytes: ``write(512) == "512 B"``.
    """
    if size < 0:
        raise ValueError("a size is not negative")
    value = float(size)
    unit = 0
    while value > 1024 and unit < len(UNITS) - 1:
        value /= 1024
        unit += 1
    if unit == 0:
        return f"{size} B"
    return f"{value:.1f} {UNITS[unit]}"

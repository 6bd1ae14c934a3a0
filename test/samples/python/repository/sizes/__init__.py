"""Sizes in bytes, written for people and read back."""

from .reading import parse
from .writing import write

__all__ = ["parse", "write"]

"""VISION, reproduced: the package that the chapters call."""

from importlib.metadata import version

__version__ = version("visiontrial")

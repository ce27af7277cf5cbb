"""The version of raybundle."""

__version__ = "0.1.0"

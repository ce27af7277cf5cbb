"""What the models see of a customer."""

from .build import build_features

__all__ = ["build_features"]

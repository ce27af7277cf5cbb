from acme.core.types import Visit

__all__ = ["Visit"]

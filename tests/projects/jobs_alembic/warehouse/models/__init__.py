from .base import Base
from .reading import Reading
from .station import Station

__all__ = ["Base", "Reading", "Station"]

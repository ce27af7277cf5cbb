import pkgutil

__all__ = [info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_")]

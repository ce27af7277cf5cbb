import os

__all__ = []
for entry in os.listdir(os.path.dirname(os.path.abspath(__file__))):
    name, ext = os.path.splitext(entry)
    if ext == ".py" and name != "__init__":
        __all__.append(name)

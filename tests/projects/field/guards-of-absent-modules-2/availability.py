import importlib.util


def _is_package_available(name):
    return importlib.util.find_spec(name) is not None


_flash = _is_package_available("absent_flash")


def is_flash_available():
    return _flash

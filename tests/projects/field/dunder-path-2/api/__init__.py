from pathlib import Path

_here = Path(__file__).parent
__path__ = [str(_here / "v2"), *__path__]

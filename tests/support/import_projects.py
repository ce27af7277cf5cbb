"""Small projects, one for each way in which Python finds a module that no statement names."""

_PLUGINS = {
    "plugins/alpha.py": "NAME = 'alpha'\n",
    "plugins/beta.py": "NAME = 'beta'\n",
    "job.py": "from plugins import *\nprint(sorted(each.NAME for each in (alpha, beta)))\n",
}

PROJECTS = {
    "all from a glob": {
        **_PLUGINS,
        "plugins/__init__.py": """
import glob
from os.path import basename, dirname, isfile, join
modules = glob.glob(join(dirname(__file__), "*.py"))
__all__ = [basename(f)[:-3] for f in modules if isfile(f) and not f.endswith("__init__.py")]
""",
    },
    "all grows in a loop": {
        **_PLUGINS,
        "plugins/__init__.py": """
import os
__all__ = ["alpha"]
for name in os.listdir(os.path.dirname(__file__)):
    if name not in ("__init__.py", "alpha.py", "__pycache__"):
        __all__ += [name[:-3]]
""",
    },
    "all from a function": {
        **_PLUGINS,
        "plugins/__init__.py": """
from pathlib import Path
def _names():
    found = []
    for each in Path(__file__).parent.iterdir():
        if each.suffix == ".py" and each.stem != "__init__":
            found.append(each.stem)
    return found
__all__ = _names()
""",
    },
    "all from a helper": {
        **_PLUGINS,
        "helper.py": """
import os
def names(file):
    return [each[:-3] for each in os.listdir(os.path.dirname(file)) if each[0] != "_"]
""",
        "plugins/__init__.py": "from helper import names\nglobals()['__all__'] = names(__file__)\n",
    },
    "star import of the package itself": {
        **_PLUGINS,
        "job.py": "import plugins\nprint(sorted(plugins.found))\n",
        "plugins/__init__.py": """
import os
__all__ = [each[:-3] for each in os.listdir(os.path.dirname(__file__)) if each[0] != "_"]
from . import *
found = [globals()[each].NAME for each in __all__]
""",
    },
    "import with a level in a loop": {
        **_PLUGINS,
        "job.py": "import plugins\nprint(sorted(plugins.found))\n",
        "plugins/__init__.py": """
import os
for each in os.listdir(os.path.dirname(__file__)):
    if each[0] != "_":
        __import__(each[:-3], globals(), locals(), [], 1)
found = [alpha.NAME, beta.NAME]
""",
    },
    "exec of an import in a loop": {
        **_PLUGINS,
        "job.py": "import plugins\nprint(sorted(plugins.found))\n",
        "plugins/__init__.py": """
import os
found = []
for each in os.listdir(os.path.dirname(__file__)):
    if each[0] != "_":
        exec("from .%s import NAME" % each[:-3])
        found.append(NAME)
""",
    },
}
"""Files by path. Each job prints what it finds."""

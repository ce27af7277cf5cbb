"""Small projects, one for each way in which Python finds a module that no statement names."""

_PLUGINS = {
    "plugins/alpha.py": "NAME = 'alpha'\n",
    "plugins/beta.py": "NAME = 'beta'\n",
    "job.py": "from plugins import *\nprint(sorted(each.NAME for each in (alpha, beta)))\n",
}

_MODEL = {"model_package/__init__.py": "NAME = 'model'\n"}

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
    "one word to a function of another module": {
        **_MODEL,
        "lib/__init__.py": "from .loading import fetch\n",
        "lib/loading.py": """
import importlib
def _module(name):
    return importlib.import_module(name)
def fetch(name):
    return _module(name)
""",
        "job.py": "import lib\nprint(lib.fetch('model_package').NAME)\n",
    },
    "one word to a class": {
        **_MODEL,
        "job.py": """
from importlib import import_module
class Model:
    def __init__(self, package):
        self.name = import_module(package).NAME
print(Model(package="model_package").name)
""",
    },
}
"""Files by path. Each job prints what it finds."""

WORD_FILES = {
    "pyproject.toml": '[tool.raybundle]\ncluster-provides = ["celery", "django", "hydra-core", "spacy"]\n',
    "shop/__init__.py": "",
    "shop/tasks.py": "",
    "shop/jobs.py": "",
    "conf/__init__.py": "",
    "conf/main.yaml": "a: 1\n",
    "settings.py": "INSTALLED_APPS = ['shop']\nROOT_URLCONF = 'urls'\n",
    "urls.py": "",
}
_TASKS = "from celery import Celery\napp = Celery('x')\n"
_SETTINGS = "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n"

WORDS = {
    "tasks of packages": (_TASKS + "app.autodiscover_tasks(['shop'])", "shop/tasks.py"),
    "tasks of a function": (_TASKS + "app.autodiscover_tasks(lambda: ('shop',))", "shop/tasks.py"),
    "tasks of another name": (
        _TASKS + "P = ['shop']\napp.autodiscover_tasks(P, related_name='jobs')",
        "shop/jobs.py",
    ),
    "tasks of Django's apps": (_SETTINGS + _TASKS + "app.autodiscover_tasks()", "shop/tasks.py"),
    "modules of Django's apps": (
        _SETTINGS + "from django.utils import module_loading as m\nm.autodiscover_modules('jobs')",
        "shop/jobs.py",
    ),
    "settings of Django": (_SETTINGS, "settings.py"),
    "addresses of Django": (_SETTINGS, "urls.py"),
    "default settings of Django": (
        "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'settings')",
        "settings.py",
    ),
    "settings of Celery": (_TASKS + "app.config_from_object('settings')", "settings.py"),
    "modules of Celery": ("import celery\nceleryapp = celery.Celery(include=['urls'])", "urls.py"),
    "imports of Celery": (_TASKS + "app.conf.imports = ('urls',)", "urls.py"),
    "a library that loads": ("import spacy\nspacy.load('conf')", "conf/__init__.py"),
    "a package of hydra": (
        "import hydra\nwith hydra.initialize_config_module('conf'): pass",
        "conf/main.yaml",
    ),
    "a place of hydra": (
        "import hydra\n@hydra.main(config_path='pkg://conf', config_name='x')\ndef f(c): pass\n",
        "conf/main.yaml",
    ),
}
"""Jobs in which one word names a module, and a file that is then needed. Their libraries need not be there."""

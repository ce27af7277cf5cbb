"""Small projects, one for each way in which Python finds a module that no statement names."""

import sysconfig

_PLUGINS = {
    "plugins/alpha.py": "NAME = 'alpha'\n",
    "plugins/beta.py": "NAME = 'beta'\n",
    "job.py": "from plugins import *\nprint(sorted(each.NAME for each in (alpha, beta)))\n",
}

_SDK = {"job.py": "import sdk.azure\nprint(sdk.azure.NAME)\n"}
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
    "names from a split": {
        **_PLUGINS,
        "plugins/__init__.py": """
import os
__all__ = []
with os.scandir(os.path.dirname(__file__)) as entries:
    for each in entries:
        name, suffix = os.path.splitext(each.name)
        if suffix == ".py" and name != "__init__":
            __all__.append(name)
""",
    },
    "checks switched on": {
        "job.py": "TYPE_CHECKING = True\nif TYPE_CHECKING:\n    import helper\nprint(helper.NAME)\n",
        "helper.py": "NAME = 'helper'\n",
    },
    "a flag of another module": {
        "job.py": "import flags\nif flags.TYPE_CHECKING:\n    import helper\nprint(helper.NAME)\n",
        "flags.py": "TYPE_CHECKING = bool(1)\n",
        "helper.py": "NAME = 'helper'\n",
    },
    "a path in a comprehension": {
        **_SDK,
        "sdk/__init__.py": "import os\n__path__ = [os.path.join(each, 'impl') for each in __path__]\n",
        "sdk/impl/azure.py": "NAME = 'azure'\n",
    },
    "a path of the version": {
        **_SDK,
        "sdk/__init__.py": """
import os, sys
base = os.path.dirname(os.path.dirname(__file__))
__path__.insert(0, os.path.join(base, "py%d" % sys.version_info[0]))
__path__.append(os.path.join(base, f"of-{sys.version_info.major}"))
""",
        "py3/azure.py": "from sdk.aws import NAME\n",
        "of-3/aws.py": "NAME = 'aws'\n",
    },
    "a path from a listing": {
        **_SDK,
        "sdk/__init__.py": """
import os
here = os.path.dirname(__file__)
for each in os.listdir(here):
    if os.path.isdir(os.path.join(here, each)):
        __path__.append(os.path.join(here, each))
""",
        "sdk/impl/azure.py": "NAME = 'azure'\n",
    },
    "a path of another package": {
        "job.py": """
import os, sdk
sdk.__path__.append(os.path.join(os.path.dirname(__file__), "impl"))
import sdk.azure
print(sdk.azure.NAME)
""",
        "sdk/__init__.py": "",
        "impl/azure.py": "NAME = 'azure'\n",
    },
    "an alias in a function": {
        "job.py": "import compat\ncompat.install()\nimport old\nprint(old.NAME)\n",
        "compat.py": "import sys\ndef install():\n    import new\n    sys.modules['old'] = new\n",
        "new.py": "NAME = 'new'\n",
    },
    "a function that adds to the path": {
        "job.py": "import tool\nprint(tool.NAME)\n",
        "tool/__init__.py": """
import os, sys
def add(*, folder, base=os.path.dirname(os.path.abspath(__file__))):
    path = os.path.join(base, folder)
    if path not in sys.path:
        sys.path.insert(0, path)
add(folder="vendor")
from vendored import NAME
""",
        "tool/vendor/vendored.py": "NAME = 'vendored'\n",
    },
    "a slice of the path": {
        "job.py": """
import os, sys
sys.path[1:1] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "libs", n) for n in ("a", "b")]
import one, two
print(one.NAME, two.NAME)
""",
        "libs/a/one.py": "NAME = 1\n",
        "libs/b/two.py": "NAME = 2\n",
    },
    "a reference with an unknown part": {
        "job.py": """
import os
from pkgutil import resolve_name
from pydoc import locate
kind = os.getenv("KIND", "clean")
print(resolve_name("steps.%s.run" % kind)(), locate(".".join(["stages", kind, "NAME"])))
""",
        "steps/__init__.py": "",
        "steps/clean.py": "def run(): return 'ran'\n",
        "stages/__init__.py": "",
        "stages/clean.py": "NAME = 'stage'\n",
    },
    "tests that a child runs": {
        "job.py": """
import subprocess, sys
words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "checks"]
print(subprocess.run(words, stdout=subprocess.DEVNULL).returncode)
""",
        "helper.py": "NAME = 1\n",
        "checks/conftest.py": "from fixtures import *\n",
        "checks/fixtures.py": "import pytest\n@pytest.fixture\ndef one(): return 1\n",
        "checks/test_one.py": "import helper\ndef test_one(one):\n    assert helper.NAME == one\n",
    },
    "members of __import__ by a variable": {
        "job.py": """
def load(backend):
    return getattr(__import__("plugins", fromlist=[backend]), backend)
print(load("alpha").NAME, load("beta").NAME)
""",
        "plugins/__init__.py": "",
        "plugins/alpha.py": "NAME = 'alpha'\n",
        "plugins/beta.py": "NAME = 'beta'\n",
    },
    "commands that are compiled from a folder": {
        "job.py": """
import os
FOLDER = os.path.join(os.path.dirname(__file__), "commands")
def command(name):
    space, file = {}, os.path.join(FOLDER, name + ".py")
    with open(file) as stream:
        code = compile(stream.read(), file, "exec")
        eval(code, space, space)
    return space["NAME"]
print(sorted(map(command, (each[:-3] for each in os.listdir(FOLDER) if each.endswith(".py")))))
""",
        "commands/alpha.py": "from messages import NAME\n",
        "commands/beta.py": "NAME = 'beta'\n",
        "messages.py": "NAME = 'alpha'\n",
    },
    "configuration that names its base beside it": {
        "job.py": """
import os, runpy
def read(file):
    names = runpy.run_path(file)
    for base in names.get("_base_", []):
        names = {**read(os.path.join(os.path.dirname(file), base)), **names}
    return names
print(sorted(each for each in read("configs/train.py") if not each.startswith("_")))
""",
        "configs/train.py": "_base_ = ['./_base_/model.py', '../shared/data.py', './tiny.py']\nrate = 1\n",
        "configs/_base_/model.py": "model = 1\n",
        "configs/tiny.py": "size = 1\n",
        "shared/data.py": "data = 1\n",
    },
    "configuration of gin that imports": {
        "job.py": """
import re
TEXT = open("conf/run.gin").read() + open("conf/more.gin").read()
print([__import__(each, fromlist=["NAME"]).NAME for each in re.findall("^import (.+)", TEXT, re.M)])
""",
        "conf/run.gin": "include 'conf/more.gin'\nimport nets.small\nrun.rate = 1\n",
        "conf/more.gin": "import losses\n",
        "nets/__init__.py": "",
        "nets/small.py": "NAME = 'small'\n",
        "losses.py": "NAME = 'losses'\n",
    },
    "examples in a docstring": {
        "job.py": """
def double(x):
    '''Doubles.

    >>> from examples import ONE
    >>> double(ONE)
    2
    '''
    return 2 * x
import doctest
print(doctest.testmod())
""",
        "examples.py": "ONE = 1\n",
    },
    "code for a stopwatch": {
        "job.py": """
import cProfile, timeit
cProfile.run("import profiled; profiled.go()", "/dev/null")
print(timeit.Timer("go()", setup="from timed import go").timeit(1) > 0)
""",
        "profiled.py": "def go(): pass\n",
        "timed.py": "def go(): pass\n",
    },
    "an extension module that ctypes opens": {
        "job.py": "import native\nprint(native.found)\n",
        "native/__init__.py": """
import ctypes, os, sysconfig
def place(name):
    return os.path.join(os.path.dirname(__file__), name + sysconfig.get_config_var("EXT_SUFFIX"))
found = os.path.exists(place("_core"))
""",
        f"native/_core{sysconfig.get_config_var('EXT_SUFFIX')}": "",
    },
}
"""Files by path. Each job prints what it finds."""

WORD_FILES = {
    "pyproject.toml": '[tool.raybundle]\ncluster-provides = ["celery", "django", "hydra-core", '
    '"kedro", "matplotlib", "spacy", "sqlalchemy", "werkzeug"]\n',
    "shop/__init__.py": "",
    "shop/tasks.py": "",
    "shop/jobs.py": "",
    "conf/__init__.py": "",
    "conf/main.yaml": "a: 1\n",
    "conf/deep/__init__.py": "",
    "conf/deep/more.yaml": "b: 1\n",
    "settings.py": "INSTALLED_APPS = ['shop']\nROOT_URLCONF = 'urls'\n",
    "urls.py": "",
}
_TASKS = "from celery import Celery\napp = Celery('x')\n"
_MODULES = "from django.utils import module_loading as m\nm.autodiscover_modules('jobs')"
_SETTINGS = "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n"

WORDS = {
    "tasks of packages": (_TASKS + "app.autodiscover_tasks(['shop'])", "shop/tasks.py"),
    "tasks of a function": (_TASKS + "app.autodiscover_tasks(lambda: ('shop',))", "shop/tasks.py"),
    "tasks of another name": (
        _TASKS + "P = ['shop']\napp.autodiscover_tasks(P, related_name='jobs')",
        "shop/jobs.py",
    ),
    "tasks of Django's apps": (_SETTINGS + _TASKS + "app.autodiscover_tasks()", "shop/tasks.py"),
    "settings of Django as an option": (
        "from django import conf\nconf.settings.configure(INSTALLED_APPS=['shop'])\n" + _MODULES,
        "shop/jobs.py",
    ),
    "modules of Django's apps": (
        _SETTINGS + _MODULES,
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
    "a backend of matplotlib": ("import matplotlib\nmatplotlib.use('module://urls')", "urls.py"),
    "a dialect of SQLAlchemy": (
        "from sqlalchemy.dialects import registry as r\nr.register('my', 'urls', 'Dialect')",
        "urls.py",
    ),
    "what a fork server imports": (
        "import multiprocessing as m\nm.get_context('forkserver').set_forkserver_preload(['urls'])",
        "urls.py",
    ),
    "a project of kedro": (
        "from kedro.framework import project\nproject.configure_project('shop')",
        "shop/jobs.py",
    ),
    "modules that werkzeug finds": (
        "from werkzeug.utils import find_modules\nprint(list(find_modules('shop', recursive=True)))",
        "shop/jobs.py",
    ),
    "a library that loads": ("import spacy\nspacy.load('conf')", "conf/__init__.py"),
    "a package of hydra": (
        "import hydra\nwith hydra.initialize_config_module('conf'): pass",
        "conf/main.yaml",
    ),
    "a place of hydra": (
        "import hydra\n@hydra.main(config_path='pkg://conf', config_name='x')\ndef f(c): pass\n",
        "conf/main.yaml",
    ),
    "a place by slashes, beside the prefix alone": (
        "PREFIX = 'pkg://'\nPLACE = 'pkg://conf/deep'\nprint(PLACE.startswith(PREFIX))\n",
        "conf/deep/more.yaml",
    ),
}
"""Jobs in which one word names a module, and a file that is then needed. No job is run."""

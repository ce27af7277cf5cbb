"""Drivers that import or read what a variable names, one for each way of doing so."""

IMPORTS = {
    "import module": """
from importlib import import_module
import_module(NAME).run()
""",
    "import module relative": """
from importlib import import_module
import_module('.' + NAME.split('.')[1], 'plug').run()
""",
    "__import__": """
__import__(NAME, fromlist=['x']).run()
""",
    "importlib.  import  ": """
import importlib
importlib.__import__(NAME, fromlist=['x']).run()
""",
    "alias of import module": """
from importlib import import_module as load
load(NAME).run()
""",
    "alias assigned": """
import importlib
load = importlib.import_module
load(NAME).run()
""",
    "builtin alias": """
imp = __import__
imp(NAME)
""",
    "partial": """
from functools import partial
from importlib import import_module
partial(import_module, NAME)().run()
""",
    "map": """
from importlib import import_module
[m.run() for m in map(import_module, [NAME])]
""",
    "getattr importlib": """
import importlib
getattr(importlib, 'import_module')(NAME).run()
""",
    "helper": """
import importlib
def load(name):
    return importlib.import_module(name)
load(NAME).run()
""",
    "resolve name": """
import pkgutil
pkgutil.resolve_name(NAME + ':run')()
""",
    "pydoc.locate": """
import pydoc
pydoc.locate(NAME + '.run')()
""",
    "run module": """
import runpy
runpy.run_module(NAME)
""",
    "run path": """
import runpy
runpy.run_path(FILE)
""",
    "exec import": """
exec(f'import {NAME}')
""",
    "eval import": """
eval(f'__import__({NAME!r})')
""",
    "exec file": """
exec(open(FILE).read())
""",
    "exec compile": """
exec(compile(open(FILE).read(), FILE, 'exec'))
""",
    "find spec": """
import importlib.util as u
spec = u.find_spec(NAME)
m = u.module_from_spec(spec)
spec.loader.exec_module(m)
""",
    "spec from file": """
import importlib.util as u
spec = u.spec_from_file_location('x', FILE)
m = u.module_from_spec(spec)
spec.loader.exec_module(m)
""",
    "SourceFileLoader": """
from importlib.machinery import SourceFileLoader
SourceFileLoader('x', FILE).load_module()
""",
    "LazyLoader": """
import importlib.util as u
spec = u.find_spec(NAME)
spec.loader = u.LazyLoader(spec.loader)
m = u.module_from_spec(spec)
spec.loader.exec_module(m)
m.run()
""",
    "getattr package": """
import plug, importlib
class Lazy:
    def __getattr__(self, n): return importlib.import_module('plug.' + n)
getattr(Lazy(), NAME.split('.')[1])
""",
    "iter modules": """
import pkgutil, importlib, os
p = importlib.import_module(NAME.split('.')[0])
[importlib.import_module(p.__name__ + '.' + m.name) for m in pkgutil.iter_modules(p.__path__)]
""",
    "walk packages": """
import pkgutil, importlib
p = __import__(NAME.split('.')[0])
[importlib.import_module(m.name) for m in pkgutil.walk_packages(p.__path__, p.__name__ + '.')]
""",
    "listdir import": """
import os, importlib
here = os.path.join(os.path.dirname(__file__), 'plug')
[importlib.import_module('plug.' + f[:-3]) for f in os.listdir(here) if f.endswith('.py')]
""",
    "glob import": """
import glob, importlib, os
[importlib.import_module('plug.' + os.path.basename(f)[:-3]) for f in glob.glob('plug/*.py')]
""",
    "dictConfig": """
import logging.config
logging.config.dictConfig({'version': 1, 'handlers': {'h': {'()': NAME + '.Run'}}})
""",
    "loadTests": """
import unittest
unittest.TestLoader().loadTestsFromName(NAME)
""",
    "instantiate": """
from hydra.utils import instantiate
instantiate({'_target_': NAME + '.Run'})
""",
    "import string": """
from django.utils.module_loading import import_string
import_string(NAME + '.Run')
""",
    "werkzeug": """
from werkzeug.utils import import_string
import_string(NAME + ':run')
""",
    "sys path": """
import sys, os
sys.path.insert(0, os.path.dirname(FILE))
import gen
""",
    "addsitedir": """
import site, os
site.addsitedir(os.path.dirname(FILE))
import gen
""",
    "subprocess m": """
import subprocess, sys
subprocess.run([sys.executable, '-m', NAME], check=True)
""",
    "subprocess file": """
import subprocess, sys
subprocess.run([sys.executable, FILE], check=True)
""",
    "os system": """
import os
os.system(f'python {FILE}')
""",
    "child c": """
import subprocess, sys
subprocess.run([sys.executable, '-c', f'import {NAME}'], check=True)
""",
    "yaml": """
import yaml
yaml.unsafe_load('!!python/name:' + NAME + '.Run ')
""",
    "entry points": """
from importlib.metadata import EntryPoint
EntryPoint('x', NAME + ':run', 'g').load()()
""",
    "multiprocessing": """
import multiprocessing as m
m.Process(target=__import__(NAME, fromlist=['x']).run).start()
""",
    "all star": """
import importlib
m = importlib.import_module(NAME.split('.')[0])
for n in getattr(m, '__all__', ['alpha']):
    importlib.import_module(m.__name__ + '.' + n)
""",
    "zipimport": """
import zipimport
zipimport.zipimporter(FILE)
""",
    "code": """
import code
code.InteractiveInterpreter().runsource('import ' + NAME)
""",
    "doctest": """
import doctest
doctest.testmod(__import__(NAME, fromlist=['x']))
""",
    "autodiscover": """
from celery import Celery
Celery('x').autodiscover_tasks([NAME.split('.')[0]], related_name='alpha')
""",
    "modules of celery": """
from celery import Celery
Celery('x', include=[NAME])
""",
    "celery settings": """
from celery import Celery
Celery('x').config_from_object(NAME)
""",
    "settings module": """
import os
os.environ['DJANGO_SETTINGS_MODULE'] = NAME
""",
    "logging class": """
import logging.config
logging.config.dictConfig({'version': 1, 'handlers': {'h': {'class': f'{NAME}.Run'}}})
""",
    "joined": """
import pkgutil
pkgutil.resolve_name('.'.join([NAME, 'run']))()
""",
    "exec from": """
exec('from ' + NAME + ' import run')
""",
    "sys.modules": """
import importlib, sys
sys.modules['old'] = importlib.import_module(NAME)
""",
    "child pytest": """
import subprocess, sys
subprocess.run([sys.executable, '-m', 'pytest', FILE], check=True)
""",
    "run module of a distribution": """
import subprocess, sys
subprocess.run([sys.executable, '-m', 'coverage', 'run', FILE], check=True)
""",
    "members of __import__": """
getattr(__import__('plug', fromlist=[NAME.split('.')[1]]), NAME.split('.')[1]).run()
""",
    "timeit": """
import timeit
timeit.timeit('run()', setup=f'from {NAME} import run', number=1)
""",
    "Timer": """
from timeit import Timer
Timer(stmt='x = 1', setup='import ' + NAME).timeit(1)
""",
    "cProfile": """
import cProfile
cProfile.run('import ' + NAME, '/dev/null')
""",
    "codeop": """
import codeop
exec(codeop.compile_command('import ' + NAME, '<x>', 'exec'))
""",
    "compiled under a name": """
compiled = compile('import ' + NAME, '<x>', 'exec')
exec(compiled)
""",
    "file compiled under a name": """
with open(FILE) as stream:
    compiled = compile(stream.read(), FILE, 'exec')
eval(compiled, {})
""",
    "unittest main": """
import unittest
unittest.main(module=NAME, exit=False, argv=['x'])
""",
    "suite of examples": """
import doctest
doctest.DocTestSuite(__import__(NAME, fromlist=['x']))
""",
    "given to a partial": """
import functools
def load(name):
    return __import__(name, fromlist=['x'])
functools.partial(load, NAME)().run()
""",
}
"""NAME holds `plug.alpha`, FILE holds `tools/gen.py`."""

FILES = {
    "open": """
open(FILE)
""",
    "io.open": """
import io
io.open(FILE)
""",
    "codecs": """
import codecs
codecs.open(FILE)
""",
    "read text": """
from pathlib import Path
Path(FILE).read_text()
""",
    "Path.open": """
from pathlib import Path
with Path(FILE).open() as f: f.read()
""",
    "os.open": """
import os
os.open(FILE, os.O_RDONLY)
""",
    "read csv": """
import pandas as pd
pd.read_csv(FILE)
""",
    "np.load": """
import numpy as np
np.loadtxt(FILE)
""",
    "json": """
import json
json.load(open(FILE))
""",
    "configparser": """
import configparser
c = configparser.ConfigParser()
c.read(FILE)
c['a']
""",
    "sqlite": """
import sqlite3
sqlite3.connect(f'file:{FILE}?mode=ro', uri=True)
""",
    "toml": """
import tomllib
tomllib.load(open(FILE,'rb'))
""",
    "listdir": """
import os
os.listdir(os.path.dirname(FILE))
""",
    "glob": """
import glob, os
open(glob.glob(os.path.dirname(FILE) + '/*.csv')[0])
""",
    "iterdir": """
from pathlib import Path
list(Path(FILE).parent.iterdir())
""",
    "copy": """
import shutil
shutil.copy(FILE, '/tmp/x')
""",
    "zip": """
import zipfile
zipfile.ZipFile(FILE)
""",
    "gzip": """
import gzip
gzip.open(FILE).read()
""",
    "linecache": """
import linecache
linecache.getline(FILE, 1)
""",
    "fileinput": """
import fileinput
list(fileinput.input(FILE))
""",
    "CDLL": """
import ctypes
ctypes.CDLL(FILE)
""",
    "gettext": """
import gettext, os
gettext.translation('x', localedir=os.path.dirname(FILE))
""",
    "jinja": """
import jinja2, os
jinja2.Environment(loader=jinja2.FileSystemLoader(os.path.dirname(FILE))).get_template('t.html')
""",
    "fileConfig": """
import logging.config
logging.config.fileConfig(FILE)
""",
    "dotenv": """
from dotenv import load_dotenv
load_dotenv(FILE)
""",
    "stat": """
import os
os.stat(FILE)
""",
    "cat": """
import subprocess
subprocess.run(['cat', FILE], check=True)
""",
    "mmap": """
import mmap
mmap.mmap(open(FILE).fileno(), 0, prot=1)
""",
    "parquet": """
import pyarrow.csv as c
c.read_csv(FILE)
""",
    "chdir": """
import os
os.chdir(os.path.dirname(FILE))
open('table.csv')
""",
}
"""FILE holds `data/table.csv`."""

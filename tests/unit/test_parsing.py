"""The walk over a tree against that of `ast`; searches for plain bytes against one for all forms at once."""

import ast
import re
import sys
from pathlib import Path

import pytest

import raybundle
from raybundle.resolve.evaluate.constants import _OWN_CHECKING
from raybundle.resolve.evaluate.loading import _REWIRES, rewiring_lines
from raybundle.resolve.evaluate.parsing import children, walk, words_in
from raybundle.resolve.scan.references import _PARTS, _is_of_interest

LEFT_OUT = (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.type_ignore)
SYNTAX = """
@decorated(1)
async def f(a: int, /, b=1, *c: str, d=2, **e) -> None:
    async with a as b, c: await d
    async for x in y: pass
    else: yield
    global z
    nonlocal q
    return (yield from a)
class C[0](B, metaclass=M): x: int = 1; y: str
match a, *b:
    case [1, *_] | {"k": C(v, w=1), **rest} if x: pass
    case None as n: pass
try: raise E from e
except (A, B) as e: del a[1:2:3], b.c
else: assert a, "no"
finally: x += lambda y=1: ~y
while not a: break
for i in j: continue
with open(a) as f: import a.b as c; from .d import e as g, *
{**a, 1: 2}; {1}; [x async for x in y if z for w in v]; {a: b for a in c}; (a for b in c)
f"{a!r:>{w}}{b}"; a if b else c; a < b <= c; (n := 1); print(*a, **b); ...; a or b and -c @ d
"""
TYPES = """
type A[T: int, *Ts, **P] = list[T]
def g[T](a: T): ...
class D[T]: ...
"""


def trees(every: int) -> list[ast.Module]:
    """Parses each kind of node, and one file of raybundle in so many."""
    files = sorted(Path(raybundle.__file__).parent.rglob("*.py"))
    sources = [path.read_bytes() for path in files[::every]]
    syntax = SYNTAX.replace("C[0]", "C").replace("e as g, *", "e as g")
    if sys.version_info >= (3, 12):
        syntax += TYPES
    return [*map(ast.parse, sources), ast.parse(syntax)]


@pytest.mark.parametrize("every", [20, pytest.param(1, marks=pytest.mark.wide)])
def test_a_walk_has_the_nodes_of_ast_in_its_order(every: int) -> None:
    for tree in trees(every):
        expected = [each for each in ast.walk(tree) if not isinstance(each, LEFT_OUT)]

        assert walk(tree) == expected
        for node in expected:
            inner = [each for each in ast.iter_child_nodes(node) if not isinstance(each, LEFT_OUT)]

            assert children(node) == inner


COMMANDS = re.compile(
    rb"\bpytest\.main\b|['\"](?:-[mc]|_target_|\(\))['\"]|sys\.executable|\bpython[\d.]* "
    rb"|(?:SETTINGS|CONFIG)_MODULE\b|URLCONF\b|\bINSTALLED_APPS\b|_(?:PLUGINS|MODULES|EXTENSIONS)\b"
    rb"|['\"]pkg://|\b[Cc]elery\b|\bsubprocess\b|\bpexpect\b"
    rb"|\b(?:system|popen|which|execv?[lpe]*|spawnv?[lpe]*|find_executable)\("
)
PARTS = re.compile(rb"['\"][\w!/:]*\.[\w.:]*[ ]?['\"]|\{\w+\}\.\w|\w\.\{")
CHECKING = re.compile(
    rb"TYPE_CHECKING\s*(?::[^=\n]*)?=(?!=)|\b(?!typing\b|t\b|typing_extensions\b)\w+\.TYPE_CHECKING"
    rb"|from\s+(?!typing\b|typing_extensions\b)[\w.]+\s+import\s+(?:\([^)]*|[^\n(]*)\bTYPE_CHECKING"
)
PIECES = b"""
pytest.main( ~ apytest.main( ~ '-m' ~ "-c" ~ -m ~ '-m ~ _target_ ~ '_target_' ~ '()' ~ () ~ sys.executable ~
python 3 ~ python3.11 -m ~ cpython 3 ~ python3x ~ SETTINGS_MODULE ~ A_MODULE ~ CONFIG_MODULE ~
CONFIG_MODULES ~
ROOT_URLCONF ~ URLCONFS ~ INSTALLED_APPS ~ AINSTALLED_APPS ~ MY_PLUGINS ~ MY_PLUGINSX ~ X_MODULES ~
X_EXTENSIONS ~ 'pkg://a' ~ pkg:// ~ Celery( ~ celery ~ xcelery ~ CELERY ~ '.views' ~ 'a.b ' ~ {a}.b ~ {}.b ~
a.{b} ~ .{b} ~ 'a b.c' ~ TYPE_CHECKING = 1 ~ TYPE_CHECKING: bool = x ~ TYPE_CHECKING == 1 ~
typing.TYPE_CHECKING ~ t.TYPE_CHECKING ~ xt.TYPE_CHECKING ~ a.typing.TYPE_CHECKING ~ mod.TYPE_CHECKING ~
f().TYPE_CHECKING ~ from typing import TYPE_CHECKING ~ from a.b import (x,\n TYPE_CHECKING) ~
from a import x, TYPE_CHECKING ~ typing_extensions.TYPE_CHECKING ~ from a import b ~
from typing_extensions import TYPE_CHECKING ~ __path__ = [] ~ __path__.append(1) ~ sys.modules[a] = b ~
modules.update(x) ~ xmodules.update(x) ~ subprocess. ~ asubprocess ~ pexpect ~ pexpects ~ os.system( ~
asystem( ~ popen( ~ which( ~ awhich( ~ exec( ~ execvpe( ~ aexec( ~ execs( ~ spawnl( ~ spawnvx( ~
find_executable(
"""


def test_a_search_for_plain_bytes_finds_what_the_form_describes() -> None:
    pieces = [each.strip() for each in PIECES.split(b"~")]
    places = [
        (before, after) for before in (b"", b"x", b" ", b"'", b".") for after in (b"", b"\n", b"x", b"'")
    ]
    for source in (before + piece + after for piece in pieces for before, after in places):
        assert _is_of_interest(source, words_in(source)) == bool(COMMANDS.search(source))
        assert any(each.search(source) for each in _PARTS) == bool(PARTS.search(source))
        assert any(each.search(source) for each in _OWN_CHECKING) == bool(CHECKING.search(source))
        assert bool(rewiring_lines(source, words_in(source))) == bool(_REWIRES.search(source))

"""A path counts with each value that its parts may have: of branches, tables, defaults and attributes."""

from __future__ import annotations

import pytest

from raybundle.resolve.interpreter.markers import Environment
from raybundle.resolve.scan.scan import scan

LINUX = Environment((3, 11, 7), "linux", "x86_64", "cpython")
BOTH = {"one/x.csv", "two/x.csv"}
READ = "open(os.path.join(d, 'x.csv'))\n"

SOURCES = {
    "if": f"if n:\n    d = 'one'\nelse:\n    d = 'two'\n{READ}",
    "elif": f"if n == 1:\n    d = 'one'\nelif n == 2:\n    d = 'two'\nelse:\n    raise SystemExit\n{READ}",
    "an if that changes it": f"d = 'one'\nif n:\n    d = 'two'\n{READ}",
    "a loop that changes it": f"d = 'one'\nwhile n:\n    d = 'two'\n{READ}",
    "match": f"match n:\n    case 1:\n        d = 'one'\n    case _:\n        d = 'two'\n{READ}",
    "try": f"try:\n    import fast\n    d = 'one'\nexcept ImportError:\n    d = 'two'\n{READ}",
    "a choice": f"d = 'one' if n else 'two'\n{READ}",
    "or": f"d = os.environ.get('D') or ('one' if n else 'two')\n{READ}",
    "a table": f"T = {{'a': 'one', 'b': 'two'}}\nd = T[n]\n{READ}",
    "get": f"T = {{'a': 'one'}}\nd = T.get(n, 'two')\n{READ}",
    "a list": f"T = ['one', 'two']\nd = T[n]\n{READ}",
    "in a function": "def f(n):\n    if n:\n        d = 'one'\n    else:\n        d = 'two'\n    " + READ,
    "an attribute": "class C:\n    d = 'one' if n else 'two'\n\n\nc = C()\nopen(f'{c.d}/x.csv')\n",
    "a dataclass": "class C:\n    d: str = 'one'\n    e: str = 'two'\n\n\n"
    "def f(c):\n    open(f'{c.d}/x.csv')\n    open(f'{c.e}/x.csv')\n",
    "self": "class C:\n    def __init__(self, d='one', e='two'):\n        self.d = d\n        self.e = e\n\n"
    "    def read(self):\n        open(self.d + '/x.csv')\n        open(self.e + '/x.csv')\n",
    "defaults": "def f(d='one', *, e='two'):\n    open(f'{d}/x.csv')\n    open(f'{e}/x.csv')\n",
    "a function": "def at(*parts):\n    return os.path.join(*parts)\n\n\n"
    "def of(d, name='x.csv'):\n    return f'{d}/{name}'\n\n\n"
    "open(at('one', 'x.csv'))\nopen(of('two'))\n",
    "a function that calls another": "def d(n):\n    return 'one' if n else 'two'\n\n\n"
    "def at(n):\n    return os.path.join(d(n), 'x.csv')\n\n\nopen(at(n))\n",
    "a suffix": "from pathlib import Path\np = Path('one/x.json')\np.with_suffix('.csv').read_text()\n"
    "q = 'two/x.json'\nopen(q.replace('.json', '.csv'))\n",
    "options": "parser.add_argument('-d', '--data-dir', default='one')\n"
    "parser.add_argument('--other', default='two')\nargs = parser.parse_args()\n"
    "open(os.path.join(args.data_dir, 'x.csv'))\nopen(f'{args.other}/x.csv')\n",
    "fields": "class C(BaseModel):\n    d: str = Field('one')\n    e: str = field(default='two')\n\n\n"
    "c = C()\nopen(f'{c.d}/x.csv')\nopen(f'{c.e}/x.csv')\n",
    "options of a command": "@click.option('--d', default='one')\n@click.option('--other-d', default='two')\n"
    "def main(d, other_d):\n    open(f'{d}/x.csv')\n    open(f'{other_d}/x.csv')\n",
    "two parts": "a = 'on' if n else 'tw'\nb = 'e' if n else 'o'\nopen(f'{a}{b}/x.csv')\n",
}


def named_in(source: str) -> set[str]:
    facts = scan(f"import os\n{source}".encode(), "job.py", LINUX)
    return {each.path for each in facts.named if each.path.endswith("/x.csv")}


@pytest.mark.parametrize("kind", SOURCES)
def test_each_value_counts(kind: str) -> None:
    assert named_in(SOURCES[kind]) >= BOTH


def test_a_name_that_is_set_again_has_its_last_value() -> None:
    assert named_in(f"d = 'one'\nd = 'two'\n{READ}") == {"two/x.csv"}


def test_a_value_of_which_one_branch_is_unknown_is_not_known() -> None:
    facts = scan(f"import os\nif n:\n    d = made(n)\nelse:\n    d = 'one'\n{READ}".encode(), "job.py", LINUX)

    assert [each.line for each in facts.opened] == [6]
    assert {each.path for each in facts.named} >= {"one/x.csv"}


def test_more_combinations_than_are_followed_end() -> None:
    choices = "".join(f"a{n} = '{n}' if n else 'x'\n" for n in range(12))
    parts = "".join(f"{{a{n}}}" for n in range(12))

    assert len(named_in(f"{choices}open(f'{parts}/x.csv')\n")) <= 64


def test_a_path_of_parts_that_cannot_be_put_together_here_is_noted() -> None:
    source = f"import os\nd = None\n\n\ndef start():\n    global d\n    d = 'one'\n\n\nstart()\n{READ}"

    assert [each.passed for each in scan(source.encode(), "job.py", LINUX).opened] == [True]


@pytest.mark.parametrize("step", [".get('a', {})", "['a']"])
def test_many_items_of_items_end(step: str) -> None:
    # Evaluating the table twice for each item takes years.
    assert named_in(f"x = made()\nd = x{step * 40}\n{READ}open('one/x.csv')\n") >= {"one/x.csv"}


def test_a_long_sum_of_lists_ends() -> None:
    # Evaluating the left side twice for each `+` takes years.
    parts = "".join(f"def part_{n}():\n    return [('one/x.csv', {n})]\n\n\n" for n in range(64))
    total = " + ".join(f"part_{n}()" for n in range(64))

    assert named_in(f"{parts}TABLE = tuple({total})\n") == {"one/x.csv"}

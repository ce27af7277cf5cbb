"""Understands the commands that a source runs: Python and its scripts, shells, programs of distributions."""

from __future__ import annotations

import ast
import posixpath
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.files.vocabulary import is_variable_of_directory
from raybundle.resolve.evaluate.name_values import ANY, NameValues
from raybundle.resolve.evaluate.parsing import walk
from raybundle.resolve.facts import Import, ModuleText, Named, ProgramName, Remark, UnknownImport
from raybundle.resolve.scan.commands.collected import HERE, by_pytest, by_unittest
from raybundle.resolve.scan.commands.shell import OUTPUT, commands_in, word_of
from raybundle.resolve.scan.commands.words import (
    EXECUTABLE,
    is_option,
    is_starred,
    may_be_executable,
    takes_code,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from raybundle.resolve.evaluate.calls import Calls
    from raybundle.resolve.facts import PathStart

_PYTEST, _UNITTEST = "pytest", "unittest"
_RUNNERS = frozenset(
    [
        *("coverage", "torch.distributed.run", "torch.distributed.launch", "cProfile", "pdb", "trace"),
        *("accelerate.commands.launch", "deepspeed.launcher.launch", "debugpy", "mpi4py", "viztracer"),
        _PYTEST,
    ]
)
"""Modules that run the scripts they are given."""
_SHELL_CALLS = frozenset(
    [
        *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
        *("asyncio.create_subprocess_shell", "asyncio.subprocess.create_subprocess_shell"),
        *("pexpect.run", "pexpect.spawn"),
    ]
)
"""Calls that give a text to a shell, or split it as one does."""
_CALLS = frozenset(f"subprocess.{name}" for name in ("run", "Popen", "call", "check_call", "check_output"))
"""Calls that take the words of a command, or with `shell=True` a text."""
_SPREAD = {
    "asyncio.create_subprocess_exec": 0,
    "asyncio.subprocess.create_subprocess_exec": 0,
    **{f"os.execl{end}": 1 for end in ("", "p", "e", "pe")},
    **{f"os.spawnl{end}": 2 for end in ("", "p", "e", "pe")},
}
"""Calls whose arguments are the words, and the first of them."""
_LISTED = {
    **{f"os.execv{end}": 1 for end in ("", "p", "e", "pe")},
    **{f"os.{name}": 1 for name in ("posix_spawn", "posix_spawnp")},
    **{f"os.spawnv{end}": 2 for end in ("", "p", "e", "pe")},
}
"""Calls that take the words as a list, and its position."""
_ASKS = frozenset({"shutil.which", "distutils.spawn.find_executable"})
LAST_NAMES = frozenset(
    name.rpartition(".")[2] for name in (*_SHELL_CALLS, *_CALLS, *_SPREAD, *_LISTED, *_ASKS)
)
IN_WORDS = (b" subprocess ", b" pexpect ")
"""Words of a source with a call that starts a program."""
IN_SOURCE = {
    b" system ": rb"system\((?<!\wsystem\()",
    b" popen ": rb"popen\((?<!\wpopen\()",
    b" which ": rb"which\((?<!\wwhich\()",
    b"exec": rb"exec(?<!\wexec)v?[lpe]*\(",
    b"spawn": rb"spawn(?<!\wspawn)v?[lpe]*\(",
    b" find_executable ": rb"find_executable\((?<!\wfind_executable\()",
}
"""Stand in a source with another such call, by what its words have then."""
_PYTHON = re.compile(r"(?:.*/)?python[\d.]*")
_SHELL = re.compile(r"(?:/usr)?(?:/bin/)?(?:ba|da|z|k)?sh")
_WRAPPERS = frozenset(
    [
        *("env", "exec", "time", "nohup", "nice", "ionice", "setsid", "stdbuf", "sudo", "timeout", "xargs"),
        *("xvfb-run", "mpirun", "mpiexec", "srun", "numactl", "taskset", "catchsegv", "command"),
    ]
)
"""Programs that start the command which follows their own options."""
_NAME = re.compile(r"[A-Za-z][\w.+-]*")
_PATH = re.compile(r"(?:[\w.@+-]+/)*[\w@+-][\w.@+-]*\.[A-Za-z]\w{0,9}|(?:\.{1,2}|[\w-]+)(?:/[\w.@+*-]+)+")
_PLAIN = re.compile(r"\w[\w-]*")
"""A word that may be a file without a suffix."""
_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(?:\(.*\))?")
"""What servers are given: `pkg.app:application`."""
_APPLICATIONS = frozenset({"-A", "--app", "--factory", "-k", "--worker-class"})
"""Options of servers whose value is a module or something in it."""
_FILES = {
    "alembic": ("alembic.ini", "alembic/**/*.py", "migrations/**/*.py"),
    "dbt": ("dbt_project.yml", "profiles.yml", "packages.yml", "models", "macros", "seeds"),
    "dvc": ("dvc.yaml", "dvc.lock", "params.yaml"),
    "gunicorn": ("gunicorn.conf.py",),
    "make": ("Makefile", "makefile", "GNUmakefile"),
}
"""What programs read from the directory in which they start, without being told."""
_CAUGHT = frozenset(
    ["FileNotFoundError", "OSError", "EnvironmentError", "IOError", "CalledProcessError", "SubprocessError"]
)
_CAUGHT_ALL = frozenset({"Exception", "BaseException"})


@dataclass(slots=True)
class Commands:
    """What the commands in one file run."""

    calls: Calls
    names: NameValues
    take: Callable[[ast.expr, ast.expr], None]
    """Takes the module that an expression names."""
    execute: Callable[[ast.expr, ast.expr], None]
    """Takes what code imports."""
    found: list[Import] = field(default_factory=list)
    scripts: list[Named] = field(default_factory=list)
    """Scripts that commands run, and files that programs read by themselves."""
    unknown: list[UnknownImport] = field(default_factory=list)
    """Commands that run a script by a name which is not known here; a path in the source may be it."""
    remarks: set[Remark] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    """Files that commands of a shell write."""
    is_shell: bool = False
    _entered: str = ""
    """Where a command of a shell has changed to, from where it starts."""
    _caught: set[int] | None = None
    _any_executable: bool | None = None
    """Whether anything in the file may be written `sys.executable`."""
    _executables: dict[str, bool] = field(default_factory=dict)
    """Whether it may be the value of a name: to write the values again takes long."""

    def listed(self, node: ast.List | ast.Tuple) -> None:
        """Reads a list that begins with Python, whatever it is for."""
        if node.elts and self._is_python(node.elts[0]):
            self._python(node, node.elts)

    def call(self, node: ast.Call) -> None:
        """Reads a call that runs a command."""
        if last_name(node.func) not in LAST_NAMES:
            return
        names = self.calls.qualified(node.func)
        spread = next((_SPREAD[each] for each in names if each in _SPREAD), None)
        listed = next((_LISTED[each] for each in names if each in _LISTED), None)
        if spread is not None:
            self._words(node, node.args[spread:])
        elif listed is not None and len(node.args) > listed:
            self._command(node, node.args[listed], shell=False)
        elif not names.isdisjoint(_SHELL_CALLS | _CALLS):
            given = node.args[:1] or [each.value for each in node.keywords if each.arg in {"args", "command"}]
            shell = not names.isdisjoint(_SHELL_CALLS) or any(each.arg == "shell" for each in node.keywords)
            for command in given:
                self._command(node, command, shell=shell)
        elif not names.isdisjoint(_ASKS) and node.args:
            for text in self.names.texts(node.args[0]):
                self._program(node, text.value, asked=True)

    def _command(self, place: ast.Call, command: ast.expr, *, shell: bool, depth: int = 0) -> None:
        match command:
            case ast.List(elts=words) | ast.Tuple(elts=words) if words and self._is_python(words[0]):
                return  # `listed` reads it, wherever it stands
            case ast.List() | ast.Tuple() | ast.BinOp() if self._is_list(command):
                self._words(place, _elements(command))
            case ast.IfExp(body=one, orelse=other):
                for each in (one, other):
                    self._command(place, each, shell=shell, depth=depth)
            case ast.Call(func=ast.Attribute(value=text, attr="split"), args=given):
                split = "shlex.split" in self.calls.qualified(command.func)
                self.shell(place, given[0] if split and given else text)
            case ast.Name(id=name) if depth < 3:  # noqa: PLR2004 - a name for a name
                for value in filter(None, self.names.bindings(name)):
                    self._command(place, value, shell=shell, depth=depth + 1)
            case _ if shell:
                self.shell(place, command)
            case ast.Constant(value=str(name)):
                self._program(place, name)
            case _:
                return

    def _is_list(self, node: ast.expr) -> bool:
        return isinstance(node, (ast.List, ast.Tuple)) or (
            isinstance(node, ast.BinOp) and self._is_list(node.left)
        )

    def shell(self, place: ast.Call, text: ast.expr) -> None:
        """Reads the text of a shell. An unknown word before a script is the interpreter."""
        self._entered = self._entered if self.is_shell else ""
        for each in self.names.texts(text):
            for command in commands_in(each.value):
                if command[0] == OUTPUT:
                    self.written.update(self._from_here(command[1]))
                else:
                    self._in_shell(place, command)

    def _in_shell(self, place: ast.Call, command: list[str]) -> None:
        for name, _, value in (word.partition("=") for word in command[1:] if command[0] == "export"):
            self._name(place, filter(_PLAIN.fullmatch, [value]), wide=is_variable_of_directory(name))
        given = (word.rpartition("=")[2] for word in command if not word.endswith(".py"))
        paths = [each.removeprefix(f"{ANY}/") if self.is_shell else each for each in given]
        self._name(place, (each for each in paths if _PATH.fullmatch(each)))
        words = [word_of(word, place) for word in command]
        if command[0] == ANY and len(command) > 1 and (command[1].endswith(".py") or command[1] == "-m"):
            words[0] = ast.Constant("python")
        self._words(place, words)
        if command[0] in {"cd", "pushd"} and len(command) > 1:
            known = ANY not in command[1] and not command[1].startswith(("/", "-"))
            self._entered = posixpath.join(self._entered, command[1]) if known else ""

    def _name(self, place: ast.expr, paths: Iterable[str], *, wide: bool = False) -> None:
        """Notes files that a command names."""
        for path in paths:
            for each in self._from_here(path):
                self.scripts.append(Named(place.lineno, "start", each, wide=wide))

    def _from_here(self, path: str) -> list[str]:
        """Returns a path, and the same from where a shell has changed to."""
        places = [self._entered, ""] if self._entered else [""]
        return [posixpath.normpath(posixpath.join(each, path)) for each in places]

    def _words(self, place: ast.expr, words: list[ast.expr]) -> None:
        """Reads the words of a command."""
        if not words:
            return
        if self._is_python(words[0]):
            self._python(place, words)
            return
        for text in self.names.texts(words[0]) if not isinstance(words[0], ast.Starred) else ():
            name = text.value
            if not text.whole or text.own:
                continue
            if _SHELL.fullmatch(name):
                self._shell_words(place, words[1:])
            elif posixpath.basename(name) in _WRAPPERS:
                self._wrapped(place, words[1:])
            else:
                self._program(place, name)
                self._arguments(place, name, words[1:])

    def _shell_words(self, place: ast.expr, words: list[ast.expr]) -> None:
        for option, word in pairwise(words):
            if isinstance(option, ast.Constant) and re.fullmatch(r"-\w*c", str(option.value)):
                assert isinstance(place, ast.Call)  # noqa: S101 - for mypy
                self.shell(place, word)

    def _wrapped(self, place: ast.expr, words: list[ast.expr]) -> None:
        """Reads the command after the options of a program that starts another one."""
        for number, word in enumerate(words):
            texts = self.names.texts(word) if not isinstance(word, ast.Starred) else ()
            if self._is_python(word) or any(each.whole and _NAME.fullmatch(each.value) for each in texts):
                self._words(place, words[number:])
                return

    def _program(self, place: ast.expr, name: str, *, asked: bool = False) -> None:
        if _NAME.fullmatch(name) and not _PYTHON.fullmatch(name):
            self.found.append(Import(place.lineno, ProgramName(name, asked or place.lineno in self.caught)))

    def _arguments(self, place: ast.expr, name: str, words: list[ast.expr]) -> None:
        """Reads the arguments of a program: scripts, tests, applications of servers."""
        if name in {_PYTEST, "py.test", _UNITTEST}:
            self.tests(place, words, name)
        texts = [[each.value for each in self.names.texts(word)] for word in words if not is_starred(word)]
        folder = next((values[0] for option, values in pairwise(texts) if "-C" in option and values), "")
        self._name(place, (posixpath.join(folder, each) for each in _FILES.get(name, ())), wide=True)
        for before, values in pairwise([[], *texts]):
            self._name(place, filter(_PLAIN.fullmatch, values))
            for value in values:
                option, _, given = value.partition("=")
                if value.endswith(".py"):
                    self._run_script(place, value)
                elif _REFERENCE.fullmatch(value) or not _APPLICATIONS.isdisjoint(before):
                    self._refer(place, value, f"{value}.{name}")
                elif option in _APPLICATIONS and given:
                    self._refer(place, given, f"{given}.{name}")

    def _refer(self, place: ast.expr, *names: str) -> None:
        """Takes what names mean that may be modules of the project: `celery -A proj` finds `proj.celery`."""
        self.found += [Import(place.lineno, ModuleText(each, is_listed=True)) for each in names]

    def _is_python(self, word: ast.expr) -> bool:
        if EXECUTABLE in self.calls.qualified(word):
            return True
        if isinstance(word, ast.Name):
            if word.id not in self._executables:
                self._executables[word.id] = self._may_be_python(word.id)
            return self._executables[word.id]
        return isinstance(word, ast.Constant) and bool(_PYTHON.fullmatch(str(word.value)))

    def _may_be_python(self, name: str) -> bool:
        if self._any_executable is None:
            nodes = self.names.of({ast.Constant, ast.Attribute})
            self._any_executable = any(map(may_be_executable, nodes))
        bound = self.names.bindings(name) if self._any_executable else ()
        return any(each is not None and EXECUTABLE in ast.unparse(each) for each in bound)

    def _python(self, place: ast.expr, words: list[ast.expr]) -> None:
        """Reads the words of a command: `[sys.executable, "-m", name]`, `["python", script]`."""
        script = next((each for each in words[1:] if not is_option(each)), None)
        if script is not None and not any(map(takes_code, words)):
            self._script(place, script)
            for word in words[words.index(script) + 1 :]:
                texts = () if is_starred(word) else self.names.texts(word)
                self._name(place, (each.value for each in texts if _PLAIN.fullmatch(each.value)))
        for option, word in pairwise(words):
            match option:
                case ast.Constant(value="-m"):
                    self.take(place, word)
                    whole = (text.value for text in self.names.texts(word) if text.whole and not text.own)
                    self._refer(place, *(f"{name}.__main__" for name in whole))
                    self._runner(place, word, words[words.index(word) + 1 :])
                case ast.Constant(value="-c"):
                    self.execute(place, word)
                case _:
                    continue

    def _runner(self, place: ast.expr, module: ast.expr, words: list[ast.expr]) -> None:
        """Reads the arguments of a module of a distribution that runs scripts."""
        name = module.value if isinstance(module, ast.Constant) else ""
        known = (word for word in words if not is_starred(word))
        if name in _RUNNERS and any(not text.whole for word in known for text in self.names.texts(word)):
            self.unknown.append(UnknownImport(place.lineno, ast.unparse(place)))
        elif isinstance(name, str) and name:
            self._arguments(place, name, words)

    def tests(self, place: ast.expr, words: list[ast.expr], runner: str = _PYTEST) -> None:
        """Notes the tests that a runner collects, which is given some words."""
        given = [word for word in words if not is_starred(word)]
        if runner == _UNITTEST:
            found = by_unittest([next(iter(self._whole(word)), _below_file(word)) for word in given])
        else:
            found = by_pytest(text for word in given for text in self._whole(word))
        for each in found:
            start: PathStart = "here" if each.startswith(HERE) else "start"
            self.scripts.append(Named(place.lineno, start, each.removeprefix(HERE), wide=True))
            if runner == _UNITTEST and start == "start":
                self.remarks.add(Remark(place.lineno, "discovery", ast.unparse(place)))

    def _whole(self, word: ast.expr) -> list[str]:
        """Returns what a word may be; a literal as it is, with the `*` of a pattern."""
        if isinstance(word, ast.Constant):
            return [str(word.value)]
        return [text.value for text in self.names.texts(word) if text.whole]

    def _script(self, place: ast.expr, script: ast.expr) -> None:
        for each in self.names.texts(script) if not is_starred(script) else ():
            beside = self.is_shell and each.value.startswith(f"{ANY}/")  # `$DIR/x.py`
            self._run_script(place, each.value[2:] if beside else ANY if each.own else each.value)

    def _run_script(self, place: ast.expr, path: str) -> None:
        if ANY in path:
            self.unknown.append(UnknownImport(place.lineno, ast.unparse(place)))
        elif not path.startswith(("/", "-")):
            script = path if path.endswith(".py") else f"{path}/__main__.py"
            self._name(place, [script])

    @property
    def caught(self) -> set[int]:
        """The lines whose failure is caught: a program that is absent does no harm."""
        if self._caught is None:
            tries = (each for each in self.names.of({ast.Try}) if any(map(_catches, each.handlers)))
            self._caught = {line for each in tries for line in _lines(each)}
        return self._caught


def _lines(node: ast.Try) -> Iterator[int]:
    for each in node.body:
        yield from range(each.lineno, (each.end_lineno or each.lineno) + 1)


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = {last_name(each) for each in walk(handler.type) if isinstance(each, (ast.Name, ast.Attribute))}
    return not names.isdisjoint(_CAUGHT | _CAUGHT_ALL)


def _elements(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.List(elts=words) | ast.Tuple(elts=words):
            return words
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [*_elements(left), *_elements(right)]
        case _:
            return [ast.Starred(node)]


def _below_file(word: ast.expr) -> str:
    """Returns the directory that an expression means which only the run knows: mostly one beside the file."""
    nodes = (each.value for each in walk(word) if isinstance(each, ast.Constant))
    return HERE + "/".join(each for each in nodes if isinstance(each, str))

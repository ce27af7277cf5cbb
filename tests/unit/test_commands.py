"""Commands that a source starts name scripts, modules and programs, in whatever form they are written."""

from __future__ import annotations

import pytest

from raybundle.resolve.facts import Facts, ModuleText, ProgramName
from raybundle.resolve.interpreter.markers import Environment
from raybundle.resolve.scan.commands.shell import commands_in
from raybundle.resolve.scan.scan import scan, scan_program

LINUX = Environment((3, 11, 7), "linux", "x86_64", "cpython")
HEAD = "import asyncio, os, shlex, shutil, subprocess, sys\n"


def facts_of(source: str) -> Facts:
    return scan(f"{HEAD}{source}\n".encode(), "job.py", LINUX)


def programs(facts: Facts) -> dict[str, bool]:
    forms = (each.form for each in facts.imports)
    return {form.name: form.may_be_absent for form in forms if isinstance(form, ProgramName)}


def modules(facts: Facts) -> set[str]:
    return {each.form.name for each in facts.imports if isinstance(each.form, ModuleText)}


def paths(facts: Facts) -> set[str]:
    return {each.path for each in facts.named}


STARTS = {
    "words": "subprocess.run(['sqlfmt', 'x'])",
    "words in a name": "CMD = ['sqlfmt'] + sys.argv\nsubprocess.check_call(CMD)",
    "one word": "subprocess.run('sqlfmt')",
    "a text": "subprocess.run('cd x && A=1 sqlfmt a > b', shell=True)",
    "a shell": "subprocess.run(['bash', '-lc', 'sqlfmt a | cat'])",
    "os.system": "os.system('sqlfmt a')",
    "os.popen": "os.popen(f'sqlfmt {sys.argv[1]}')",
    "getoutput": "subprocess.getoutput('sqlfmt')",
    "asyncio": "asyncio.create_subprocess_exec('sqlfmt', 'a')",
    "asyncio's shell": "asyncio.create_subprocess_shell('sqlfmt a')",
    "execvp": "os.execvp('sqlfmt', ['sqlfmt', 'a'])",
    "execlp": "os.execlp('sqlfmt', 'sqlfmt', 'a')",
    "split": "subprocess.run('sqlfmt a'.split())",
    "shlex": "subprocess.run(shlex.split(f'sqlfmt {a}'))",
    "a wrapper": "subprocess.run(['timeout', '60', 'sqlfmt'])",
    "a choice": "subprocess.run(['sqlfmt'] if a else ['sh', '-c', 'x'])",
}


@pytest.mark.parametrize("kind", STARTS)
def test_a_program_is_known_however_it_is_started(kind: str) -> None:
    assert programs(facts_of(STARTS[kind]))["sqlfmt"] is False


def test_a_program_may_be_absent_if_the_source_asks_or_catches() -> None:
    asked = facts_of("if shutil.which('a'):\n    pass")
    caught = facts_of("try:\n    subprocess.run(['a'])\nexcept (OSError, ValueError):\n    pass")
    other = facts_of("try:\n    subprocess.run(['a'])\nexcept KeyError:\n    pass")

    assert [programs(each) for each in (asked, caught, other)] == [{"a": True}, {"a": True}, {"a": False}]


SCRIPTS = {
    "a text": "os.system('python tools/gen.py --x')",
    "an interpreter in a text": "os.system(f'{sys.executable} tools/gen.py')",
    "a pipe": "subprocess.run('cd . && python3 tools/gen.py | cat', shell=True)",
    "split": "subprocess.run('python tools/gen.py'.split())",
    "a name for the interpreter": "PY = sys.executable or 'python3'\nsubprocess.run([PY, 'tools/gen.py'])",
    "a wrapper": "subprocess.run(['nice', '-n', '5', sys.executable, 'tools/gen.py'])",
    "a runner": "subprocess.run(['torchrun', '--nproc', '2', 'tools/gen.py'])",
}


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_script_is_known_however_it_is_started(kind: str) -> None:
    assert "tools/gen.py" in paths(facts_of(SCRIPTS[kind]))


def test_directories_and_packages_run_by_their_main_module() -> None:
    assert "app/__main__.py" in paths(facts_of("subprocess.run([sys.executable, 'app'])"))
    assert modules(facts_of("subprocess.run([sys.executable, '-m', 'app'])")) == {"app", "app.__main__"}


def test_servers_name_their_applications() -> None:
    assert "web:app" in modules(facts_of("subprocess.run(['uvicorn', 'web:app'])"))
    assert {"proj", "proj.celery"} <= modules(facts_of("subprocess.run(['celery', '-A', 'proj', 'worker'])"))


def test_code_on_the_command_line_takes_what_it_imports_from_a_package() -> None:
    code = "CODE = 'from pk import gen'\nsubprocess.run([sys.executable, '-c', CODE])"

    assert modules(facts_of(code)) >= {"pk", "pk.gen"}


def test_files_in_the_text_of_a_shell_are_named() -> None:
    assert {"data/a.csv", "b.json"} <= paths(facts_of("os.system('cat data/a.csv --x=b.json > out/c')"))


def test_an_unknown_command_names_nothing() -> None:
    facts = facts_of("subprocess.run(a)\nsubprocess.run([*a, 'b'])\nsubprocess.run([a, 'b'])\nos.system(a)")

    assert (programs(facts), modules(facts), facts.unknown) == ({}, set(), ())


def test_a_script_of_a_shell_names_what_it_starts() -> None:
    script = (
        "#!/bin/sh\nset -e\n# python not.py\nexport A=1\n"
        "A=2 python -m pk.gen $1 \\\n  --y\npython a/b.py\nsqlfmt x\n"
    )
    facts = scan_program(script.encode(), "go.sh", LINUX)

    assert facts is not None
    assert modules(facts) >= {"pk.gen", "pk.gen.__main__"}
    assert "a/b.py" in paths(facts)
    assert "sqlfmt" in programs(facts)
    assert "not.py" not in paths(facts)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b; c | d && e", [["a", "b"], ["c"], ["d"], ["e"]]),
        (
            "X=1 Y=2 a 'b c' 2>&1 >out </dev/null",
            [["export", "X=1", "Y=2"], ["a", "b c", "/dev/null"], [">", "out"]],
        ),
        ("if a; then b; fi", [["a"], ["b"]]),
        ("(a) & b", [["a"], ["b"]]),
        ("a 'b", []),
        ("", []),
    ],
)
def test_a_text_is_split_as_a_shell_does(text: str, words: list[list[str]]) -> None:
    assert list(commands_in(text)) == words


@pytest.mark.parametrize(
    "program",
    [
        "Path(sys.executable).parent / 'tool'",
        "Path(sys.executable).with_name('tool')",
        "os.path.join(os.path.dirname(sys.executable), 'tool')",
        "os.path.join(sys.prefix, 'bin', 'tool')",
        "f'{sys.prefix}/bin/tool'",
        "Path(sys.prefix) / 'bin' / 'tool'",
        "BIN / 'tool'",
        "BIN.joinpath('tool')",
        "sysconfig.get_path('scripts') + '/tool'",
        "Path(sys.executable).parent.parent / 'bin' / 'tool'",
    ],
)
def test_a_program_beside_python_is_told_and_its_distribution_travels(program: str) -> None:
    head = (
        "import os, subprocess, sys, sysconfig\nfrom pathlib import Path\nBIN = Path(sys.executable).parent\n"
    )
    found = scan(f"{head}print({program})\n".encode(), "job.py", LINUX)

    assert [(each.line, each.kind, each.text) for each in found.remarks] == [(4, "beside-python", "tool")]
    assert any(each.form == ProgramName("tool", may_be_absent=True) for each in found.imports)


@pytest.mark.parametrize(
    "place",
    [
        "os.path.join(sys.prefix, 'lib', 'combine')",
        "Path(sys.executable).parent.parent / 'share' / 'jupyter'",
        "Path(sys.executable).parents[1] / 'lib' / 'site-packages'",
        "os.path.join(os.path.dirname(os.path.dirname(sys.executable)), 'include')",
        "os.path.join(os.path.dirname(sys.executable), '..', 'etc')",
    ],
)
def test_other_files_of_python_are_no_programs_beside_it(place: str) -> None:
    found = scan(f"import os, sys\nfrom pathlib import Path\nprint({place})\n".encode(), "job.py", LINUX)

    assert found.remarks == ()


@pytest.mark.parametrize(
    "path", ["Path(sys.executable).parent / 'python'", "Path(sys.prefix) / 'share' / 'x'", "BIN / 'ray'"]
)
def test_what_nodes_have_beside_python_and_other_directories_are_not_told(path: str) -> None:
    head = "import sys\nfrom pathlib import Path\nBIN = Path(sys.executable).parent\n"

    assert scan(f"{head}print({path})\n".encode(), "job.py", LINUX).remarks == ()

"""Reads shell lines and scripts: finds a plain Python command in them; anything else becomes a driver."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from raybundle.cli.entrypoint.launchers import shell_driver
from raybundle.cli.entrypoint.model import Answer, Run, as_answer, with_env
from raybundle.cli.entrypoint.shell import Simple, split_commands

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from raybundle.cli.entrypoint.model import Outcome, Surroundings

    Command = Callable[[tuple[str, ...], Surroundings], Outcome]

SHELLS = frozenset(["sh", "bash", "dash", "zsh", "ksh", "source", ".", "cd"])
_SHEBANG = re.compile(r"#!\s*\S*/(env\s+(-\S+\s+)*)?(sh|bash|dash|zsh|ksh)\b")
_REDIRECTED = re.compile(
    r"(?s)(.*?)\s*(?:(?:\d*>>?|&>)\s*&?(?P<file>[^\s&|]+)\s*|\d>&\d\s*|<\s*/dev/null\s*)+(?P<background>&?)$"
)
_PIPED = re.compile(r"(?s)(.*?)\s*(?:2>&1\s*)?\|\s*tee\s+(?:-a\s+)?(\S+)$")
_FROM_FILE = re.compile(r"(?s)(.*?python\S*)\s+-?\s*<\s*(\S+\.py)$")
_STAYS = re.compile(r"cd \$\(dirname (-- )?(\$0|\$\{?BASH_SOURCE(\[0\])?\}?)\)( \|\| (exit|return)( \d+)?)?")
"""`cd "$(dirname "$0")"`, which changes nothing if the script runs from its own directory."""
_COMMENT = re.compile(r"(?m)^\s*#.*$")
_EXPANSION = re.compile(r"""(?:\$\{[^{}]*\}|\$\w+|\)|`)["']*/""")
"""The end of an expression that means a directory: `$DIR/`, `${DIR:-.}/`, `$(dirname "$0")/`."""
_FILE = re.compile(r"(?:[\w.@+-]+/)*[\w@+-][\w.@+-]*\.\w+")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII | re.DOTALL)


def is_shell_script(word: str, here: Surroundings) -> bool:
    """Returns whether a word names a script of a shell, by its suffix or its first line."""
    if word.endswith((".py", ".ipynb")):
        return False
    text = here.text(word)
    return text is not None and (word.endswith((".sh", ".bash")) or _SHEBANG.match(text) is not None)


def read_line(text: str, here: Surroundings, command: Command) -> Outcome:
    """Returns the outcome for a command line in one word; it runs if it requires no shell."""
    commands = split_commands(text.strip())
    if len(commands) == 1 and not commands[0].syntax:
        return command(commands[0].words, here)
    return (
        _background(text.strip(), here, command)
        or _plain(
            commands, here, command, "the line needs a shell, and a bundle runs a script of the project"
        )
        or _whole(text.strip(), commands, here)
    )


def _whole(text: str, commands: Sequence[Simple], here: Surroundings) -> Answer:
    syntax = next((each.syntax for each in commands if each.syntax), commands[0].end)
    what = "a backtick" if syntax == "`" else "a line end" if syntax == "\n" else f"`{syntax.strip()}`"
    why = f"{what} needs a shell, and a bundle runs a script of the project"
    return shell_driver(text, [*_named(commands), *_files(text)], here, why)


def _files(text: str, folder: str = "") -> list[str]:
    """Returns the words of a shell text that look like files, without directories that only a shell knows.

    Args:
        text: a line or a script.
        folder: the script's directory. Most scripts mean the current directory or their own.
    """
    words = _FILE.findall(_EXPANSION.sub(" ", _COMMENT.sub("", text)))
    return [*words, *(str(PurePath(folder, word)) for word in words if folder)]


def _named(commands: Sequence[Simple]) -> list[str]:
    """Returns the words that may name files, relative to the last `cd`."""
    directory, words = PurePath(), list[str]()
    for each in commands:
        if each.words[:1] == ("cd",) and len(each.words) > 1:
            directory /= each.words[1]
        else:
            words += [str(directory / word) if directory.name else word for word in each.words]
    return words


def _background(text: str, here: Surroundings, command: Command) -> Answer | None:
    """Returns the answer to `… &`, `… > FILE`, `… | tee FILE` and `python < FILE` around one command."""
    if found := _FROM_FILE.fullmatch(text):
        return as_answer(command(("python", found[2]), here), "a job has no standard input")
    file, background, inner = "", "", text
    if found := _PIPED.fullmatch(text):
        inner, file = found[1], found[2]
    elif found := _REDIRECTED.fullmatch(text):
        inner, file, background = found[1], found["file"] or "", found["background"]
    elif text.endswith("&"):
        inner, background = text[:-1], "&"
    commands = split_commands(inner.strip())
    if inner == text or len(commands) != 1 or commands[0].syntax:
        return None
    outcome = command(commands[0].words, here)
    if background:
        what = "`&` leaves a shell's command running; `--no-wait` leaves a job running"
        return as_answer(outcome, what, ("--no-wait",), "`raybundle logs ID` shows its log")
    options = ("--log-file", file) if file and not file.isdigit() else ()
    return as_answer(outcome, "the output of a job is its log, standard error too", options)


def _plain(commands: Sequence[Simple], here: Surroundings, command: Command, text: str) -> Answer | None:
    """Returns the answer to one Python command among exports and activations; None if there is more.

    Only `set` is left out: it controls a shell that does not exist in the job.
    """
    env: list[tuple[str, str]] = []
    before: list[str] = []
    last: Outcome | None = None
    for each in commands:
        if each.words[:1] == ("set",):
            continue
        if each.syntax or last is not None:
            return None
        if each.words[:1] == ("export",) or all(map(_ASSIGNMENT.fullmatch, each.words)):
            found = [_ASSIGNMENT.fullmatch(word) for word in each.words if word != "export"]
            if not all(found):
                return None
            env += [(pair[1], pair[2]) for pair in found if pair]
        elif _activates(each.words) or installs(each.words):
            before.append(each.text)
        elif each.words[0] in {"cd", "echo", "mkdir", "sleep", "rm", "cp", "mv", "ls", "cat"}:
            return None
        else:
            last = command(each.words, here)
    if last is None:
        return None
    if isinstance(last, Run) and not _names_python(last, here):
        return None
    return replace(as_answer(with_env(last, env), text), before=tuple(before))


def _names_python(run: Run, here: Surroundings) -> bool:
    """Returns whether a command of a script is a target: `nvidia-smi` is not."""
    name = (*run.words, "")[0]
    return name == "-m" or here.exists(name) or here.is_script(name)


def _activates(words: tuple[str, ...]) -> bool:
    """Returns whether a command activates an environment: the user does that before `raybundle submit`."""
    return (words[:1] in {("source",), (".",)} and words[-1].endswith("activate")) or words[:2] in {
        ("conda", "activate"),
        ("mamba", "activate"),
    }


def installs(words: tuple[str, ...]) -> bool:
    """Returns whether a command installs distributions: the user does that here, and they are bundled."""
    installers = {"pip", "pip3", "uv", "python", "python3"}
    return words[:2] == ("uv", "sync") or (words[0] in installers and "install" in words[:4])


def shell(name: str, rest: tuple[str, ...], here: Surroundings, command: Command) -> Outcome:
    """Returns the outcome for `bash -c LINE`, `bash SCRIPT ARGS…` or `source SCRIPT`."""
    if name == "cd":
        hint = "your own shell took the `&&`: put the whole line in quotes"
        return Answer("`cd` changes the directory of a shell, and ends with it", hint=hint)
    words = list(rest)
    while words and words[0].startswith("-") and words[0] != "-":
        word = words.pop(0)
        if "c" in word and not word.startswith("--") and words:
            return _of_c(name, words, here, command)
        if word in {"-o", "-O", "--rcfile", "--init-file"} and words:
            words.pop(0)
    if not words:
        return Answer(f"`{name}` has no terminal in a job", hint="name the script that is the job")
    return shell_script(words[0], tuple(words[1:]), here, command)


def _of_c(name: str, words: list[str], here: Surroundings, command: Command) -> Outcome:
    line, *arguments = words
    if not arguments:
        return read_line(line, here, command)
    text = f"`{name} -c` with arguments needs a shell, and a bundle runs a script of the project"
    named = [*_named(split_commands(line)), *arguments]
    return shell_driver(shlex.join((name, "-c", *words)), named, here, text)


def shell_script(name: str, arguments: tuple[str, ...], here: Surroundings, command: Command) -> Answer:
    """Returns the answer to a shell script: the Python command in it, or a driver that runs it."""
    text = here.text(name)
    if text is None:
        return Answer(f"there is no shell script {name}", hint="name the script that is the job")
    folder = str(PurePath(name).parent)
    commands = split_commands(text, arguments)
    if folder == ".":
        commands = [each for each in commands if not _STAYS.fullmatch(" ".join(each.words))]
    why = f"{name} is a script of a shell, and a bundle runs a script of the project"
    found = _plain(commands, here, command, why)
    if found is not None:
        return found
    shebang = _SHEBANG.match(text)
    program = shebang[3] if shebang else "sh"
    line = shlex.join((program, name, *arguments))
    named = [name, *_named(commands), *_files(text, folder)]
    return shell_driver(line, named, here, f"{why}; it does more than start one")

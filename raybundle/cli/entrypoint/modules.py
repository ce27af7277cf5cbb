"""Reads `python -m MODULE`: runs the project's modules, and answers modules of Python and of tools."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from raybundle.cli.entrypoint.launchers import COMMANDS, command_driver, module_driver
from raybundle.cli.entrypoint.model import Answer, Run

if TYPE_CHECKING:
    from raybundle.cli.entrypoint.model import Outcome, Surroundings

_RUNNERS = frozenset(["torch", "accelerate", "deepspeed", "horovod", "pytest", "coverage", "streamlit"])
"""Top-level modules of distributions that run the files in their arguments."""
_DEBUGGERS = frozenset(["pdb", "ipdb", "pudb", "debugpy"])


def module_run(
    module: str, arguments: tuple[str, ...], options: tuple[str, ...], here: Surroundings
) -> Outcome:
    """Returns the outcome for `python OPTIONS -m MODULE ARGS…`."""
    name = module.removesuffix(".py").replace("/", ".").strip(".")
    if name != module and here.include(name):
        return Answer("`-m` takes the name of a module, not its file", ("-m", name, *arguments))
    top = module.partition(".")[0]
    words = ("-m", module, *arguments)
    if any(here.include(f"{root}{top}{suffix}") for root in ("", "src/") for suffix in ("", ".py")):
        return Run(words, options)
    if module == "runpy" and arguments:
        return Run(("-m", *arguments), options)
    if top in _DEBUGGERS:
        return _debugger(module, arguments)
    if top in sys.stdlib_module_names:
        text = f"`-m {module}` is a module of Python, and a bundle runs a script of the project"
        return module_driver(module, arguments, here, text)
    if top in _RUNNERS:
        text = f"`-m {module}` is a module of another distribution, and a bundle runs a script of the project"
        return module_driver(module, arguments, here, text)
    if top in COMMANDS:
        text = f"`-m {module}` is a module of another distribution, and a bundle runs a script of the project"
        return command_driver(module, words, text)
    return Run(words, options)


def _debugger(module: str, arguments: tuple[str, ...]) -> Answer:
    """Returns the answer to a debugger such as `python -m pdb -c continue job.py ARGS…`."""
    place = next((index for index, word in enumerate(arguments) if word.endswith(".py")), None)
    text = f"a job has no terminal for `{module}`"
    hint = "Ray has a debugger of its own: `breakpoint()` in the code, and `ray debug`"
    return Answer(text, () if place is None else arguments[place:], hint=hint)

"""What single words of a command are, as expressions."""

from __future__ import annotations

import ast

EXECUTABLE = "sys.executable"


def may_be_executable(node: ast.AST) -> bool:
    """Returns whether a node may be written `sys.executable`, or name it."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (str, bytes)) and EXECUTABLE in str(node.value)
    return isinstance(node, ast.Attribute) and node.attr.startswith("executable")


def is_starred(word: ast.expr) -> bool:
    """Returns whether a word stands for several."""
    return isinstance(word, ast.Starred)


def is_option(word: ast.expr) -> bool:
    """Returns whether a word is an option."""
    return isinstance(word, ast.Constant) and str(word.value).startswith("-")


def takes_code(word: ast.expr) -> bool:
    """Returns whether Python does not run a script after this word."""
    return isinstance(word, ast.Constant) and word.value in {"-c", "-m", "-"}

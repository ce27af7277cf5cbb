"""Reads what one source file imports: bytes in, facts out. Nothing is run and no disk is touched."""

from __future__ import annotations

import ast
import hashlib
import posixpath
import re
from typing import TYPE_CHECKING

from raybundle.errors import BundleError
from raybundle.formats.pickles import modules_in_literal, modules_in_text, read_pickle
from raybundle.resolve.evaluate.conditions import may_ask_for_module
from raybundle.resolve.evaluate.constants import switches, with_constants
from raybundle.resolve.evaluate.files.named_paths import find_files
from raybundle.resolve.evaluate.files.reading import paths_read_in
from raybundle.resolve.evaluate.loading import rewiring_lines
from raybundle.resolve.evaluate.name_values import NameValues
from raybundle.resolve.evaluate.parsing import parse, walk, words_in
from raybundle.resolve.facts import (
    Facts,
    Guard,
    Import,
    ModuleText,
    Named,
    Statement,
    UnknownImport,
    in_order,
)
from raybundle.resolve.scan.calls.given import loaders
from raybundle.resolve.scan.calls.import_calls import DynamicImports, may_be_passed_on
from raybundle.resolve.scan.commands.environments import children
from raybundle.resolve.scan.commands.shell_scripts import commands_of_shell, script_in
from raybundle.resolve.scan.comments import with_comments
from raybundle.resolve.scan.exports import exported, path_edits
from raybundle.resolve.scan.guards import unforgiven
from raybundle.resolve.scan.references import References
from raybundle.resolve.scan.runtime_envs import installed_by, own_clusters, runtime_envs
from raybundle.resolve.scan.strings import (
    CONFIG_LIMIT,
    config_names,
    dotted_literals,
    dotted_names,
    file_names,
    interpolated,
    listed_names,
    module_words,
    plain_paths,
    script_places,
)
from raybundle.resolve.scan.sweep import sweep
from raybundle.resolve.scan.tables import (
    lazy_tables,
    may_be_lazy,
    server_lines,
    settings_lists,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.interpreter.markers import Environment


_OF_LITERALS = (b"gA", b"800", b"x80", b"ickle", b"loads", b"_reconstructor")
"""One of them is in the words of each source that has a pickle as a literal."""
_LITERAL = re.compile(
    rb"gA[I-X][\w+/-]{8}|800[2-5][0-9a-fA-F]{8}|\\x80\\x0[2-5]"
    rb"|['\"]\(*(?:[dl]p\d+|[ci][A-Za-z_][\w.]*(?:\\n|\n)\w+)(?:\\n|\n)"
)
"""Is in each source that has a pickle as a literal."""
_PYTHON = re.compile(rb"#!.*\bpython[\d.]*\s*(?:-\w+\s*)*\r?\n")
_OF_PACKAGES = ("__init__.py", "__init__.pyi")
_LOADED = Guard(deferred="function")
"""Of modules that a pickle names: they are imported when it is loaded."""


def scan(source: bytes, file: str, environment: Environment) -> Facts:
    """Returns what `source` imports on the target that `environment` describes.

    Raises:
        BundleError: the source is not Python; with file and line.
    """
    tree, words, is_package = parse(source, file), words_in(source), file.endswith(_OF_PACKAGES)
    constants = with_constants(tree, source, words, environment)
    swept = sweep(tree, constants, dotted_literals(source), may_ask=may_ask_for_module(words))
    dynamic = DynamicImports(swept.calls, NameValues(tree, swept.calls.bindings, is_package))
    dynamic.run(words)
    if may_be_passed_on(source, words, swept.calls):
        dynamic.follow_aliases()
    references = References(swept.calls, dynamic.names)
    commands, (started, of_children) = references.run(source, words), children(source, words, dynamic.names)
    lazy = lazy_tables(tree, is_package=is_package) if may_be_lazy(words) else []
    tables = [*settings_lists(tree, source), *references.found, *lazy, *_pickles_in(tree, source, words)]
    imports = [*swept.imports, *swept.submodules(), *dynamic.found, *tables, *commands.found, *started]
    known = {(each.line, each.form.name) for each in (*dynamic.found, *tables)}
    imports += swept.named_in_strings(known, server_lines(tree) if swept.strings else set())
    paths, opened = find_files(tree, source, words, file.rpartition("/")[2], paths_read_in(swept.calls))
    named = tuple(each for each in (*paths, *commands.scripts) if each.path not in commands.written)
    unseen = () if any(each.path.endswith(".py") for each in named) else commands.unknown
    unknown = {*dynamic.unknown, *references.unknown, *unseen, *switches(source, words)}
    remarks = (*runtime_envs(words, tree), *own_clusters(source, tree), *unforgiven(tree, dynamic.asked))
    found = Facts(
        sha256=hashlib.sha256(source).hexdigest(),
        imports=in_order(imports),
        exports=exported(swept.exports, dynamic),
        unknown=tuple(sorted(unknown)),
        path_edits=tuple(sorted(path_edits(source, words, swept.path_targets, dynamic))),
        remarks=(*remarks, *of_children, *sorted(commands.remarks)),
        configs=config_names(source),
        installs=installed_by(remarks, tree),
        rewires=tuple(sorted(rewiring_lines(source, words))),
        named=named,
        opened=opened,
        loaders=tuple(loaders(tree, dynamic)),
    )
    return with_comments(found._replace(renames=tuple(sorted(set(swept.renames())))), source)


def _pickles_in(tree: ast.Module, source: bytes, words: bytes) -> Iterator[Import]:
    """Yields the modules that pickles name which are literals, as bytes or as text."""
    may_be_there = any(word in words for word in _OF_LITERALS) and _LITERAL.search(source)
    for node in walk(tree) if may_be_there else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
            value = node.value if isinstance(node.value, bytes) else node.value.encode(errors="replace")
            for name in sorted(modules_in_literal(value)):
                yield Import(node.lineno, Statement(name, rule="pickle"), _LOADED)


def scan_config(source: bytes) -> Facts:
    """Returns the dotted names and paths in a configuration file; of a large one, the files that it lists."""
    sha256 = hashlib.sha256(source).hexdigest()
    imports = [Import(1, Statement(name, rule="pickle")) for name in modules_in_text(source)]
    if len(source) > CONFIG_LIMIT:
        return Facts(sha256, in_order(imports), named=_listed(source))
    source = interpolated(source)
    names = (*dotted_names(source), *module_words(source))
    imports += (Import(line, ModuleText(name, rule="config-file")) for line, name in names)
    named = [Named(line, "start", posixpath.normpath(path)) for line, path in file_names(source)]
    for line, text, wide, role in plain_paths(source):
        if (path := posixpath.normpath(text)).strip("./"):
            named.append(Named(line, "start", path, wide=wide, role=role))
            if role == "written":
                named.append(Named(line, "start", f"{path}/*", role=role))
    named += (Named(line, "start", path, wide=True) for line, path in script_places(source))
    return Facts(sha256, in_order(imports), named=tuple(named))


def scan_program(source: bytes, file: str, environment: Environment) -> Facts | None:
    """Returns what a program without a suffix starts or imports, and the paths in it; None if it is none."""
    if _PYTHON.match(source):
        return _scan_python(source, file, environment)
    text = script_in(source, file)
    if text is None:
        return None
    sha256, commands = hashlib.sha256(source).hexdigest(), commands_of_shell(text)
    named = tuple(each for each in commands.scripts if each.path not in commands.written)
    return Facts(sha256, in_order(commands.found), named=named)


def _scan_python(source: bytes, file: str, environment: Environment) -> Facts | None:
    """Returns the modules of a program as names, which may be those of files beside it."""
    try:
        facts = scan(source, file, environment)
    except BundleError:
        return None
    found = [(each.line, each.form) for each in facts.imports if isinstance(each.form, Statement)]
    names = {
        (line, f"{form.name}.{member}".rstrip(".*")) for line, form in found for member in ("", *form.members)
    }
    imports = (Import(line, ModuleText(name, is_listed=True, rule="config-file")) for line, name in names)
    beside = [Named(line, "start", f"{name.replace('.', '/')}.py") for line, name in sorted(names)]
    return Facts(facts.sha256, in_order(imports), named=(*facts.named, *beside))


def scan_text(data: bytes) -> Facts:
    """Returns the modules that the pickles in a text name, and the files that it lists."""
    imports = in_order(Import(1, Statement(each, rule="pickle")) for each in modules_in_text(data))
    return Facts(hashlib.sha256(data).hexdigest(), imports, named=_listed(data))


def _listed(data: bytes) -> tuple[Named, ...]:
    return tuple(Named(line, "start", posixpath.normpath(path)) for line, path in listed_names(data))


def scan_pickle(data: bytes, name: str) -> Facts:
    """Returns the modules that the pickle `name` names; what cannot be read in it is unknown."""
    pickled = read_pickle(data, name)
    imports = in_order(Import(1, Statement(each, rule="pickle")) for each in pickled.modules)
    unknown = (UnknownImport(1, pickled.fault),) if pickled.fault else ()
    return Facts(hashlib.sha256(data).hexdigest(), imports, unknown=unknown)

from __future__ import annotations

from dataclasses import replace
from posixpath import dirname

import pytest

from raybundle.errors import BundleError
from raybundle.model import Interpreter
from raybundle.resolve.find.directories import Directories, Listing
from raybundle.resolve.find.finder import Finder, FirstParty, Namespace, NotFound, StandardLibrary, ThirdParty


def interpreter(editables: tuple[tuple[str, str], ...] = ()) -> Interpreter:
    return Interpreter(
        executable="/python",
        implementation="cpython",
        version=(3, 11, 7),
        abi="cpython-311-x86_64-linux-gnu",
        platform="linux-x86_64",
        path=("/std", "/site"),
        stdlib=("/std",),
        site=("/site",),
        builtin_names=frozenset({"sys", "os"}),
        stdlib_names=frozenset({"sys", "os", "json", "winreg"}),
        suffixes=(".cpython-311-x86_64-linux-gnu.so", ".so", ".py", ".pyc"),
        editables=editables,
    )


def finder(
    *files: str,
    path: tuple[str, ...] = ("/a", "/b"),
    editables: tuple[tuple[str, str], ...] = (),
    namespaces: tuple[tuple[str, str], ...] = (),
) -> Finder:
    """A finder over directories that exist only as listings; `d/` at the end is an empty directory."""
    listings: dict[str, tuple[set[str], set[str]]] = {
        each: (set(), set()) for each in (*path, "/std", "/site")
    }
    for file in files:
        directory, name = dirname(file), file.rpartition("/")[2]
        listings.setdefault(directory, (set(), set()))[0].add(name)
        while directory != "/":
            parent = dirname(directory)
            listings.setdefault(parent, (set(), set()))[1].add(directory.rpartition("/")[2])
            directory = parent
    known = {
        name: Listing(frozenset(files - {""}), frozenset(names)) for name, (files, names) in listings.items()
    }
    return Finder(
        (*path, "/std", "/site"), replace(interpreter(editables), namespaces=namespaces), Directories(known)
    )


def test_the_first_entry_that_has_a_module_wins() -> None:
    found = finder("/a/m.py", "/b/m.py").find("m")

    assert found == FirstParty("/a", "/a/m.py", is_package=False, shadowed=("/b/m.py",))


def test_a_package_beats_a_module_of_the_same_name() -> None:
    found = finder("/a/m.py", "/a/m/__init__.py").find("m")

    assert found == FirstParty("/a", "/a/m/__init__.py", is_package=True, shadowed=("/a/m.py",))


def test_a_module_beats_a_directory_without_init() -> None:
    found = finder("/a/m.py", "/a/m/x.py").find("m")

    assert found == FirstParty("/a", "/a/m.py", is_package=False)


def test_a_package_in_a_later_entry_beats_a_namespace_portion_in_an_earlier_one() -> None:
    found = finder("/a/m/x.py", "/b/m/__init__.py").find("m")

    assert found == FirstParty("/b", "/b/m/__init__.py", is_package=True)


def test_an_extension_beats_a_source_of_the_same_name() -> None:
    found = finder("/a/m.so", "/a/m.py").find("m")

    assert found == FirstParty("/a", "/a/m.so", is_package=False, is_extension=True)


def test_a_namespace_package_has_its_portions_in_path_order() -> None:
    tree = finder("/a/n/x.py", "/b/n/y.py")

    assert tree.find("n") == Namespace((("/a", "/a/n"), ("/b", "/b/n")))
    assert tree.find("n.y") == FirstParty("/b", "/b/n/y.py", is_package=False)


def test_a_namespace_package_in_site_packages_alone_is_third_party() -> None:
    tree = finder("/site/google/cloud/storage.py")

    assert tree.find("google") == Namespace((("/site", "/site/google"),), first_party=False)
    assert tree.find("google.cloud.storage") == ThirdParty(
        "/site", "/site/google/cloud/storage.py", is_package=False
    )


def test_a_builtin_module_cannot_be_replaced() -> None:
    assert finder("/a/sys.py").find("sys") == StandardLibrary()


def test_a_module_of_the_standard_library_can_be_replaced_from_an_earlier_entry() -> None:
    found = finder("/a/json.py", "/std/json/__init__.py").find("json")

    assert found == FirstParty("/a", "/a/json.py", is_package=False, shadowed=("/std/json/__init__.py",))


def test_a_standard_module_of_another_platform_is_not_missing() -> None:
    assert finder().find("winreg") == StandardLibrary()


def test_a_submodule_of_a_plain_module_is_missing() -> None:
    assert finder("/a/m.py", "/a/m/x.py").find("m.x") == NotFound()


def test_a_third_party_submodule_that_is_no_file_stands_for_its_package() -> None:
    found = finder("/site/six.py").find("six.moves.urllib")

    assert found == ThirdParty("/site", "/site/six.py", is_package=False)


def test_an_editable_package_is_found_where_its_finder_maps_it() -> None:
    tree = finder("/x/src/pkg/__init__.py", "/x/src/pkg/m.py", editables=(("pkg", "/x/src/pkg"),))

    assert tree.find("pkg.m") == FirstParty("/x/src", "/x/src/pkg/m.py", is_package=False)


def test_an_entry_of_the_path_beats_an_editable_finder() -> None:
    tree = finder("/a/pkg.py", "/x/src/pkg/__init__.py", editables=(("pkg", "/x/src/pkg"),))

    assert tree.find("pkg") == FirstParty("/a", "/a/pkg.py", is_package=False)


def test_an_editable_namespace_joins_the_portions_on_the_path() -> None:
    tree = finder("/a/n/x.py", "/x/src/n/y.py", namespaces=(("n", "/x/src/n"),))

    assert tree.find("n") == Namespace((("/a", "/a/n"), ("/x/src", "/x/src/n")))


def test_a_namespace_portion_on_the_path_beats_an_editable_finder() -> None:
    tree = finder("/a/pkg/x.py", "/x/src/pkg/__init__.py", editables=(("pkg", "/x/src/pkg"),))

    assert tree.find("pkg.x") == FirstParty("/a", "/a/pkg/x.py", is_package=False)


def test_an_editable_package_in_a_directory_of_another_name_is_refused() -> None:
    tree = finder("/x/lib/__init__.py", editables=(("pkg", "/x/lib"),))

    with pytest.raises(BundleError, match="`pkg` is in a directory of another name: /x/lib"):
        tree.find("pkg")


def test_the_modules_of_a_package_are_listed_without_its_data_directories() -> None:
    tree = finder("/a/p/__init__.py", "/a/p/b.py", "/a/p/c/__init__.py", "/a/p/data/x.csv", "/a/p/x-y.py")

    assert list(tree.submodules("p")) == ["p.b", "p.c", "p.x-y"]

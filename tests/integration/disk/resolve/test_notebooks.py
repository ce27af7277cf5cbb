"""A notebook as a target: the script that is made of it, and the places that messages name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.errors import BundleError, UnresolvedImportError
from raybundle.model import NotebookTarget
from raybundle.resolve.driver.notebook import notebook_script
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.missing.complete import require_complete
from raybundle.resolve.resolve import ResolveSettings, resolve
from tests.support.known import knowing

if TYPE_CHECKING:
    from raybundle.model import Resolution


def notebook(directory: Path, *cells: str, **more: Any) -> Path:
    """A notebook as Jupyter saves it: a line of source on a line of the file."""
    document = {
        "cells": [
            {"cell_type": "code", "metadata": {}, "outputs": [], "source": cell.splitlines(keepends=True)}
            for cell in cells
        ],
        "metadata": {"kernelspec": {"language": "python"}},
        "nbformat": 4,
        **more,
    }
    file = directory / "note.ipynb"
    file.write_text(json.dumps(document, indent=1))
    return file


def resolved(file: Path) -> Resolution:
    (file.parent / "pyproject.toml").touch()
    found = describe(Path(sys.executable), {}, file.parent, knowing(file.parent / "cache"))
    cache = knowing(file.parent / "cache")
    # From another directory: a notebook runs in its own.
    return resolve(NotebookTarget(file), ResolveSettings(), found, file.parent.parent, cache)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def script_of(file: Path) -> str:
    return notebook_script(file).content.decode()


def run_script(file: Path) -> str:
    made = notebook_script(file)
    made.file.write_bytes(made.content)
    return subprocess.check_output([sys.executable, made.file], text=True, cwd=file.parent)


def test_the_cells_run_in_order_and_what_is_no_code_is_not_in_the_script(work: Path) -> None:
    file = notebook(
        work, "x = 1\n", "", "   \n", "%%html\n<b>", "def f():\n    return x + 1", "print(f())\n\n\n"
    )

    assert script_of(file) == "# %%\nx = 1\n# %%\ndef f():\n    return x + 1\n# %%\nprint(f())\n"
    assert run_script(file) == "2\n"


def test_outputs_and_texts_do_not_change_the_script(work: Path) -> None:
    before = script_of(notebook(work, "x = 1"))
    cell = {"cell_type": "code", "source": "x = 1", "outputs": [{"text": ["1"]}], "execution_count": 7}
    after = script_of(notebook(work, cells=[{"cell_type": "markdown", "source": "# t"}, cell]))

    assert before == after


def test_magics_become_pass_and_each_that_would_do_something_is_a_warning_with_its_place(work: Path) -> None:
    cell = """%load_ext autoreload
if True:
    %matplotlib inline
text = '''
%s and
!this stay
'''
!pip install \\
   nothing
rest = (7
  %4)
rest = 7 \\
  %3
str.join?
%time size = len(text)
print(repr(text), rest, size)
"""
    file = notebook(work, "a = 1", cell)
    made = notebook_script(file)

    assert run_script(file) == "'\\n%s and\\n!this stay\\n' 1 19\n"
    assert [each.text.partition(" is left out")[0] for each in made.warnings] == [
        "code cell 2, line 8: `!pip`",
        "code cell 2, line 14: `str.join?`",
    ]
    lines = file.read_text().splitlines()
    assert all(each.text.split("`")[1] in lines[(each.line or 0) - 1] for each in made.warnings)


@pytest.mark.parametrize(
    ("cell", "script"),
    [
        ("%%bash\nls", ""),
        ("\n%%writefile x.py\nimport gone", ""),
        ("%%capture out\n%load_ext x\nx = 1", "# %%\npass\nx = 1\n"),
    ],
)
def test_cells_of_other_languages_are_left_out_and_timed_ones_are_not(
    work: Path, cell: str, script: str
) -> None:
    file = notebook(work, cell)

    assert script_of(file) == script
    assert notebook_script(file).warnings[0].text.startswith("code cell 1, line ")


@pytest.mark.parametrize(
    "cell", ["%%time\nx = 1", "%%prun -l 5\nx = 1", "%config A.b = 1\nx = 1", "%time x = 1"]
)
def test_magics_that_change_nothing_of_a_job_are_left_out_without_a_warning(work: Path, cell: str) -> None:
    file = notebook(work, cell)

    assert "x = 1" in script_of(file)
    assert notebook_script(file).warnings == ()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("x = 1", "y = 2\nif x\n"), r"note\.ipynb, code cell 2, line 2: expected ':'"),
        (("x = (",), r"note\.ipynb, code cell 1, line 1: '\(' was never closed"),
        (("%load_ext x\nx = = 1",), r"note\.ipynb, code cell 1, line 2: invalid syntax"),
        (("\n\nawait f()",), r"note\.ipynb, code cell 1, line 3: 'await' outside function"),
        (("x = 1", "from __future__ import annotations"), r"code cell 2, line 1: from __future__"),
        (("a = 1\nfiles = !ls",), r"code cell 1, line 2: the code uses what `!` gives"),
    ],
)
def test_what_is_no_python_is_refused_with_notebook_cell_and_line(
    work: Path, cells: tuple[str, ...], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        notebook_script(notebook(work, *cells))


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"cells": 3}', '{"cells": [{"cell_type": "code", "source": 3}]}']
)
def test_a_file_that_is_no_notebook_is_refused(work: Path, text: str) -> None:
    (work / "note.ipynb").write_text(text)

    with pytest.raises(BundleError, match=r"note\.ipynb is no notebook"):
        notebook_script(work / "note.ipynb")


def test_a_notebook_of_another_language_is_refused(work: Path) -> None:
    file = notebook(work, "x <- 1", metadata={"kernelspec": {"language": "R"}})

    with pytest.raises(BundleError, match="is r, and not Python"):
        notebook_script(file)


def test_a_notebook_of_format_3_has_its_cells_in_worksheets(work: Path) -> None:
    (work / "note.ipynb").write_text(
        json.dumps({"worksheets": [{"cells": [{"cell_type": "code", "input": "x = 1\ny = 2"}]}]})
    )

    assert script_of(work / "note.ipynb") == "# %%\nx = 1\ny = 2\n"


def test_names_that_only_a_notebook_has_are_warnings(work: Path) -> None:
    made = notebook_script(notebook(work, "x = 1\ndisplay(x)", "get_ipython().system('ls')"))
    own = notebook_script(notebook(work, "from IPython.display import display\ndisplay(1)"))

    assert [each.text for each in made.warnings] == [
        "code cell 2, line 1: there is no `get_ipython` in a job",
        "code cell 1, line 2: there is no `display` in a job",
    ]
    assert own.warnings == ()


def test_a_configuration_file_beside_a_notebook_names_modules_if_a_cell_reads_it(work: Path) -> None:
    (work / "pkg").mkdir()
    for name in ("__init__", "named", "other"):
        (work / f"pkg/{name}.py").touch()
    (work / "train.yaml").write_text("model: pkg.named\n")
    (work / "serve.yaml").write_text("model: pkg.other\n")
    resolution = resolved(notebook(work, "import pkg\nload(config_name='train')"))

    assert [each.name for each in resolution.modules] == ["__main__", "pkg", "pkg.named"]


def test_edges_warnings_and_missing_imports_name_the_line_of_the_notebook(work: Path) -> None:
    (work / "nb").mkdir()
    (work / "src").mkdir()
    (work / "src/helper.py").touch()
    (work / "nb/note.py").touch()
    file = notebook(
        work / "nb",
        "import sys\nsys.path.append('../src')\nimport note",
        "import helper\nname = input()\n__import__(name)\nimport gone",
    )
    resolution = resolved(file)
    lines = file.read_text().splitlines()

    assert {each.imported: lines[each.line - 1].strip()[:14] for each in resolution.edges} == {
        "note": '"import note"',
        "helper": '"import helper',
    }
    assert {each.file for each in resolution.edges} == {each.file for each in resolution.warnings} == {file}
    assert ["__import__(name)" in lines[(each.line or 0) - 1] for each in resolution.warnings] == [True]
    driver = next(each for each in resolution.modules if each.name == "__main__")
    assert (driver.path, driver.file) == ("project/note.ipynb.py", file)
    with pytest.raises(UnresolvedImportError, match=r"cannot find `gone`, imported at note\.ipynb:") as error:
        require_complete(resolution)
    assert '"import gone"' in lines[int(str(error.value).rpartition(":")[2]) - 1]
    assert os.fspath(work / "src/helper.py") in {str(each.file) for each in resolution.modules}

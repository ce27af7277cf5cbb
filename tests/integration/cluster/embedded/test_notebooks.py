"""A notebook that a kernel executes: its functions run as jobs, and its workers outside the Jobs API too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient

if TYPE_CHECKING:
    from tests.integration.cluster.conftest import Embedded

pytestmark = [pytest.mark.ray, pytest.mark.slow]

CELLS = (
    """
import asyncio
import raybundle
import sibling
asyncio.get_running_loop()  # raises unless there is one
""",
    """
class Point:
    def __init__(self, x):
        self.x = x

def work(point):
    import late
    return Point(sibling.double(point.x)), late.WORD
""",
    """
job = raybundle.submit_function(work, [Point(4)])
point, word = await asyncio.to_thread(job.result)
print("REPORT", isinstance(point, Point), point.x, word)
job
""",
    """
with open("sibling.py", "w") as file:
    file.write("def double(number):\\n    return 1000 * number\\n")
""",
    """
print("REPORT", raybundle.run_function(work, Point(4))[0].x)
""",
    """
def fails():
    import late
    raise LookupError(f"no {late.WORD}")

try:
    raybundle.run_function(fails)
except LookupError as error:
    print("REPORT", error, error.__cause__.traceback)
""",
)


@pytest.fixture(scope="module")
def outputs(embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """What each cell of the notebook has shown."""
    work = embedded.workplace(tmp_path_factory.mktemp("notebook") / "work", "functions")
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": each.strip()} for each in CELLS]
    notebook: Any = nbformat.reads(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}), as_version=4
    )
    client = NotebookClient(
        notebook,
        timeout=240,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(work.directory)}},
    )
    client.execute(env={**work.environ, "JUPYTER_PREFER_ENV_PATH": "1"})
    return [cell.outputs for cell in notebook.cells]


def reported(outputs: list[Any]) -> str:
    errors = [each for each in outputs if each.output_type == "error"]
    assert not errors, errors[0].traceback
    text = "".join(each.text for each in outputs if each.output_type == "stream" and each.name == "stdout")
    return text[text.index("REPORT ") + 7 :].strip()


def test_a_function_of_a_cell_uses_a_sibling_and_a_class_of_another_cell(outputs: list[list[Any]]) -> None:
    assert reported(outputs[2]) == "True 8 late"


def test_a_job_is_shown_with_its_state(outputs: list[list[Any]]) -> None:
    page = next(each.data["text/html"] for each in outputs[2] if each.output_type == "execute_result")

    assert "SUCCEEDED" in page
    assert "work" in page
    assert "<script" not in page


def test_a_module_that_was_edited_between_two_cells_is_new_in_the_next_job(outputs: list[list[Any]]) -> None:
    assert reported(outputs[4]) == "4000"


def test_an_error_of_a_cells_function_has_the_remote_traceback_with_the_cell(
    outputs: list[list[Any]],
) -> None:
    text = reported(outputs[5])

    assert text.startswith("no late Traceback")
    assert 'File "In[6]", line 3, in fails' in text
    assert 'raise LookupError(f"no {late.WORD}")' in text

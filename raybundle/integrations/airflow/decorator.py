"""`@task.raybundle`: a function of a DAG file that runs as a Ray job, and whose result becomes the XCom."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory

from raybundle.integrations.airflow.operator import JobOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle import Job

WHAT_TO_RETURN = "return numbers, strings, lists and dicts; store anything else, and return where it is"


class RayBundleFunctionOperator(DecoratedOperator, JobOperator):
    """Runs a function as a Ray job: by the same rules as `RayBundleSubmitOperator` runs a bundle."""

    template_fields = (*DecoratedOperator.template_fields, *JobOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **JobOperator.template_fields_renderers,
    }
    custom_operator_name = "@task.raybundle"
    is_async = False  # the nodes run a coroutine, not Airflow

    def request(self, context: Any, options: dict[str, Any]) -> Job:
        """Submits the call. Only here is it pickled: another try that finds the job needs no pickle."""
        from raybundle.integrations.airflow.values import by_value, first_on_path, keywords_for, portable

        function, args = self.python_callable, list(self.op_args)
        kwargs = keywords_for(function, args, self.op_kwargs, context)
        args = [portable(str(number), each) for number, each in enumerate(args, 1)]
        kwargs = {name: portable(f"`{name}`", each) for name, each in kwargs.items()}
        file = Path(self.dag.fileloc)
        with first_on_path(file), by_value(function, file):
            return self.hook.submit_function(function, args, kwargs, **options, **self.building)

    def wait_for(self, job: Job, write: Callable[[str], object]) -> Any:
        """Returns what the function returned; raises what the job says of its exception."""
        from raybundle.errors import FunctionError, ResultError, UsageError
        from raybundle.integrations.airflow.values import json_fault

        try:
            value = job.result(write, timeout=self.timeout, start_timeout=self.start_timeout)
        except ResultError as error:
            absent = error.__cause__
            if not isinstance(absent, (ImportError, AttributeError)):
                raise
            raise UsageError(
                f"job {job.id}: the result needs what Airflow's Python does not have: {absent}",
                hint=WHAT_TO_RETURN,
            ) from None
        except Exception as error:  # noqa: BLE001 - whatever the function raised
            failed = error.__cause__ if isinstance(error.__cause__, FunctionError) else error
            if isinstance(failed, FunctionError):
                failed.hint = None  # of a caller that wants the exception itself
            raise failed from None
        fault = json_fault(value)
        if fault is not None:
            raise UsageError(f"job {job.id}: {fault}, and XCom takes JSON", hint=WHAT_TO_RETURN)
        return value


def raybundle_task(python_callable: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Makes a function a task that runs as a Ray job: `@task.raybundle`, or `@task.raybundle(env={…})`.

    Args:
        python_callable: to decorate.
        options: as `JobOperator` lists them, and of every operator.
    """
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=RayBundleFunctionOperator, **options
    )

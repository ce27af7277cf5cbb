"""Functions as jobs: `run_function`, `submit_function`, and the decorator `job`."""

from __future__ import annotations

import codecs
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from raybundle.api.cluster import submitted
from raybundle.api.job_keywords import FunctionKeywords
from raybundle.api.keywords import SubmitKeywords, check, require, takes
from raybundle.api.reading import connecting_of, environment_of, given_in, heard_of, job_options
from raybundle.cluster.jobs import FUNCTION
from raybundle.cluster.stopping import Limits, stop_interrupted
from raybundle.config import RUNNING, Setting, Settings
from raybundle.errors import UsageError
from raybundle.functions.calling import named_in, own_roots, target_of
from raybundle.functions.pickling import Call
from raybundle.functions.results import ResultLines, result_of
from raybundle.pipeline.examining import require_fit
from raybundle.pipeline.orders import order_target
from raybundle.request import prepare
from raybundle.resolve.interpreter.node_python import minor_of
from raybundle.submission.asking import ask
from raybundle.submission.attempts import Watch, follow_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Unpack

    from raybundle.api.handle import Heard, Job
    from raybundle.cluster.jobs import JobsClient
    from raybundle.request import Request
    from raybundle.submission.attempts import Order
    from raybundle.submission.ray_environment import RayEnvironment


def run_function(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Runs a function as a job and returns what it returns, or raises what it raises.

    The function is the job's driver. It travels by value with its arguments, in a bundle with the modules
    that it needs. An interrupt stops the job. `job(**options)(function).run(…)` does so with options.

    Args:
        function: any function of this process; also of a notebook's cell.
        args: of the function.
        kwargs: of the function.

    Raises:
        UsageError: the call cannot be pickled, or a setting is wrong.
        BundleError: the function cannot be bundled, or not for this cluster.
        StoreError: the store cannot be used.
        ClusterError: the cluster cannot be reached, or refuses the job.
        FunctionError: the function raised an exception that cannot be made again here.
        ResultError: the result cannot be had.
        JobError: the job ended before the function did.
    """
    return _run(Call(function, args, kwargs), {})


@takes(SubmitKeywords)
def submit_function(
    function: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    **options: Unpack[SubmitKeywords],
) -> Job:
    """Returns the job of a call of a function, once the cluster has accepted it; `Job.result` has its result.

    Args:
        function: as for `run_function`.
        args: of the function.
        kwargs: of the function.
        options: as `raybundle.api.keywords.SubmitKeywords` lists them, but for `module` and `trace`.

    Raises:
        UsageError: the call cannot be pickled, or an argument or a setting is wrong.
        BundleError: the function cannot be bundled, or not for this cluster.
        StoreError: the store cannot be used.
        ClusterError: the cluster cannot be reached, or refuses the job.
    """
    order, checked = _ordered(Call(function, args, kwargs or {}), options)
    return submitted(order, heard_of(options), checked)


@dataclass(frozen=True, slots=True)
class JobFunction:
    """A function that can run as a job. A call runs it here, as without the decorator."""

    function: Callable[..., Any]
    given: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the function here."""
        return self.function(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the function as a job and returns what it returns, or raises what it raises."""
        return _run(Call(self.function, args, kwargs), self.given)

    def submit(self, *args: Any, **kwargs: Any) -> Job:
        """Returns the job of a call, once the cluster has accepted it."""
        given = {name: value for name, value in self.given.items() if name not in _OF_A_WAIT}
        return submit_function(self.function, args, kwargs, **cast("SubmitKeywords", given))

    @takes(FunctionKeywords)
    def options(self, **options: Unpack[FunctionKeywords]) -> JobFunction:
        """Returns the same function with other options."""
        return JobFunction(self.function, {**self.given, **options})

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial, (self.function,)  # a node needs no raybundle


_OF_A_WAIT = ("timeout", "start_timeout", "retries", "write")


def job(function: Callable[..., Any] | None = None, /, **options: Unpack[FunctionKeywords]) -> Any:
    """Makes a function one that can run as a job: `@raybundle.job`, or `@raybundle.job(env={…})`.

    Args:
        function: to decorate.
        options: as `raybundle.api.job_keywords.FunctionKeywords` lists them.

    Raises:
        UsageError: an argument is wrong.
    """
    check(options, FunctionKeywords)
    if function is not None:
        require("function", function, Callable)
        return JobFunction(function, dict(options))
    return lambda each: JobFunction(each, dict(options))


def _run(call: Call, options: Mapping[str, Any]) -> Any:
    heard, write = heard_of(options), options.get("write")
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    lines = ResultLines(lambda piece: write and write(decoder.decode(piece)))
    limits = Limits(options.get("timeout"), options.get("start_timeout"))
    retries = options.get("retries") or 0
    watch = Watch(
        lines.take, heard, limits, retries, guard=functools.partial(_stopped_by_an_interrupt, heard)
    )
    order, checked = _ordered(call, options)
    with closing(order.cluster.client):
        if checked is not None:
            require_fit(checked, order, heard.note)
        outcome = follow_order(order, watch)
    return result_of(outcome.submission.run.id, outcome.info, lines, order.store, outcome.error)


@contextmanager
def _stopped_by_an_interrupt(heard: Heard, client: JobsClient, submission_id: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        client.close()  # an answer may be incomplete
        stop_interrupted(client, submission_id, heard, "interrupted")
        raise


def _ordered(call: Call, options: Mapping[str, Any]) -> tuple[Order, Any]:
    """Returns all that the job of a call is submitted from, and how the cluster is examined, if it is."""
    for name in ("module", "trace"):
        if options.get(name):
            raise UsageError(f"`{name}` is for scripts and modules, and this is a function")
    require("function", call.function, Callable)
    require("args", call.args, Sequence[Any])
    request, environment = _request(call, options)
    metadata = {**(options.get("metadata") or {}), FUNCTION: call.name}
    start = request.start(options.get("cwd"))
    job = job_options({**options, "metadata": metadata}, request.settings, (), start, environment)
    heard = heard_of(options)
    connecting = connecting_of(options, request.settings, heard)
    order = order_target(request, job, connecting, heard, strict=bool(options.get("strict")))
    return order, connecting if options.get("check") else None


def _request(call: Call, options: Mapping[str, Any]) -> tuple[Request, RayEnvironment]:
    environment = environment_of(options)
    target = target_of(call, environment.project)
    request = ask(target, named_in(call), given_in(options), environment, traces=False)
    settings = request.settings
    if options.get("python") is None:
        settings = Settings({**settings.found, "python": Setting(sys.executable, RUNNING)})
    interpreter = prepare(replace(request, settings=settings)).interpreter
    here = "{}.{}".format(*sys.version_info)
    if minor_of(interpreter) != here:
        raise UsageError(
            f"`python` is a Python {minor_of(interpreter)}, and the function is pickled by Python {here}",
            hint=f"name an environment with Python {here}, or none",
        )
    roots = own_roots(target, interpreter.path)
    return replace(request, settings=settings.extended("roots", roots, "sys.path")), environment

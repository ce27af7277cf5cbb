"""Which layers a node unpacks at the same time, and which process takes which file."""

from __future__ import annotations

import errno
import os
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raybundle.node.cache.raybundle_parallel import _shared, run
from raybundle.node.cache.raybundle_place import _batches as batches_of_layers

_batches: Any = batches_of_layers
"""Here a file is the seconds that it takes."""
seconds = st.floats(0.001, 30)
stacks = st.dictionaries(st.text("abc", max_size=4), st.lists(seconds, min_size=1, max_size=9), max_size=9)


def makespan(jobs: list[float], processes: int) -> float:
    return max(map(sum, _shared(jobs, float, processes)))


def test_a_layer_of_one_large_file_has_others_beside_it() -> None:
    stack = {"nccl": [4.0], "cudnn": [3.0, 2.0, 1.0], "small": [0.5], "cusparse": [4.5]}

    batches = [[name for name, _ in batch] for batch in _batches(stack, sum, 2)]

    assert batches == [["cudnn"], ["cusparse", "nccl", "small"]]


def test_the_longest_file_goes_to_the_process_with_least_to_do() -> None:
    assert makespan([5.0, 4.0, 3.0, 3.0, 3.0], 2) == 10.0
    assert makespan([6.0, 2.0, 2.0, 2.0], 2) == 6.0


@given(stacks, st.integers(1, 8))
def test_each_layer_is_unpacked_once_and_in_no_more_time_than_by_itself(
    stack: dict[str, list[float]], processes: int
) -> None:
    batches = list(_batches(stack, sum, processes))
    together = sum(makespan([job for _, jobs in batch for job in jobs], processes) for batch in batches)
    largest = max(map(sum, stack.values()), default=0.0)

    assert sorted(name for batch in batches for name, _ in batch) == sorted(stack)
    assert not batches or sum(batches[0][0][1]) == largest
    assert together <= sum(makespan(jobs, processes) for jobs in stack.values()) * 4 / 3 + 1e-6


class Work(NamedTuple):
    """A file to write, as far as sharing knows it."""

    target: str
    fault: Exception | None = None


def do(work: Work) -> None:
    if work.fault is not None:
        raise work.fault


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor has no child")
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (OSError(errno.ENOSPC, "any"), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/layers/b")),
        (OSError(errno.EIO, "any", "/x"), OSError(errno.EIO, os.strerror(errno.EIO), "/x")),
        (RuntimeError("file b: expected this, found that"),) * 2,
        (KeyError("b"), RuntimeError("KeyError: 'b'")),
    ],
)
def test_what_fails_in_a_child_is_told_as_if_it_had_failed_here(fault: Exception, told: Exception) -> None:
    jobs = [Work("/layers/a"), Work("/layers/c"), Work("/layers/b", fault)]

    with pytest.raises(type(told)) as raised:
        run(do, jobs, lambda job: {"/layers/a": 9.0, "/layers/c": 2.0}.get(job.target, 1.0))

    assert (raised.value.args, str(raised.value)) == (told.args, str(told))

"""What the words of `serve` ask for, and what is made of Ray Serve's messages."""

from __future__ import annotations

import pytest

from raybundle.cluster.outcome import brief, deployment_error
from raybundle.errors import JobFailedError, JobStartError, UsageError
from raybundle.pipeline.serving.configuration import read_wanted

FAILED = (
    "A replica failed to start with exception. Retrying 2 more time(s). Error:\n"
    "\x1b[36mray::ServeReplica:a:A.initialize()\x1b[39m (pid=7, ip=10.0.0.2, actor_id=aaa, repr=<A>)\n"
    '  File "/usr/lib/python3.11/asyncio/base_events.py", line 653, in run\n    return x\n'
    '  File "/tmp/raybundle-0/trees/' + "a" * 64 + '/project/app.py", line 6, in __init__\n    boom\n'
    "ValueError: no model\n"
)
NOT_IMPORTED = (
    "Deploying app 'a' failed with exception:\nTraceback (most recent call last):\n"
    '  File "/usr/lib/ray/_private/worker.py", line 1053, in get_objects\n    raise value\n'
    "ray.exceptions.RayTaskError(RuntimeError): \x1b[36mray::build_serve_application()\x1b[39m (pid=7)\n"
    '  File "/usr/lib/ray/serve/application_state.py", line 1843, in build\n    raise\n'
    "RuntimeError: Traceback (most recent call last):\n"
    '  File "/tmp/raybundle-0/trees/' + "a" * 64 + '/project/words.py", line 1, in <module>\n    raise\n'
    "ValueError: no words\n"
)


def entries(*words: str, name: str | None = None, route_prefix: str | None = None) -> list[object]:
    wanted = read_wanted(words, name, route_prefix)
    return [dict(each.values) for each in wanted.entries]


def test_one_application_has_the_name_and_the_route_that_serve_gives_it() -> None:
    assert entries("app:graph") == [{"name": "default", "route_prefix": "/", "import_path": "app:graph"}]


def test_one_application_takes_a_name_a_route_and_arguments() -> None:
    assert entries("app.build", "size=3", "path=a=b", name="fraud", route_prefix="/f") == [
        {
            "name": "fraud",
            "route_prefix": "/f",
            "import_path": "app.build",
            "args": {"size": "3", "path": "a=b"},
        }
    ]


def test_several_applications_are_named_by_their_modules() -> None:
    assert [(each["name"], each["route_prefix"]) for each in entries("a.api:x", "b.shop:y")] == [  # type: ignore[index]
        ("api", "/api"),
        ("shop", "/shop"),
    ]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "no application"),
        (("app",), "'app' is not the import path of an application"),
        (("app:",), "'app:' is not the import path"),
        (("a:b:c",), "'a:b:c' is not the import path"),
        (("app:x", "other:y", "k=v"), "are for one MODULE:ATTRIBUTE"),
        (("k=v",), "are for one MODULE:ATTRIBUTE"),
        (("a.api:x", "b.api:y"), "several applications would be called api"),
        (("none.yaml",), "cannot read it"),
        (("none.json",), "cannot read it"),
        (("serve.yaml", "app:x"), "stands after a configuration file"),
    ],
)
def test_other_words_are_refused(words: tuple[str, ...], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        read_wanted(words)


def test_a_name_of_a_configuration_file_is_refused() -> None:
    with pytest.raises(UsageError, match="--name and --route-prefix"):
        read_wanted(["serve.yaml"], name="a")


def test_a_failed_replica_is_told_by_its_exception_and_its_place() -> None:
    assert brief(FAILED) == (
        "A replica failed to start with exception. Retrying 2 more time(s). ValueError: no model at app.py:6"
    )
    assert (
        brief(NOT_IMPORTED) == "Deploying app 'a' failed with exception: ValueError: no words at words.py:1"
    )
    assert brief("waits for\n1 CPU") == "waits for 1 CPU"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (FAILED, JobFailedError, "application a failed: ValueError: no model at app.py:6"),
        (
            f"{FAILED}RuntimeError: raybundle: boot failed: bundle sha256:1: node n: file x\n more",
            JobStartError,
            "raybundle: boot failed: bundle sha256:1: node n: file x",
        ),
        (
            "Runtime env setup for app 'a' failed:\nno such bucket",
            JobStartError,
            "application a could not start: Runtime env setup for app 'a' failed:\n  no such bucket",
        ),
        ("The deployments ['A'] are UNHEALTHY.", JobFailedError, "application a failed: The deployments"),
    ],
)
def test_the_error_of_an_application_says_why_it_does_not_run(
    text: str, kind: type[Exception], words: str
) -> None:
    error = deployment_error("a", text)

    assert type(error) is kind
    assert str(error).startswith(words)

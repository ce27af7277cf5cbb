"""`export` for KubeRay: resources that its schemas accept, and that leave the user's part as it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import raybundle
from raybundle.errors import UsageError
from tests.support.kuberay import CLUSTER, SPEC, faults, mounting
from tests.support.small_project import tree
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from pathlib import Path

CRON = {"schedule": "0 3 * * *", "time_zone": "Europe/Berlin"}
SERVE = """\
http_options: {port: 8000}
applications:
- name: shop
  route_prefix: /
  import_path: shop.app:graph
  args: {at: 12:30}
  runtime_env:
    pip: [humanize]
    env_vars: {MODE: "on", RAYBUNDLE_DIGEST: old}
- name: second
  import_path: other.app:graph
  deployments:
  - name: D
    ray_actor_options: {num_cpus: 0.5}
"""


class Store:
    """A project whose bundle is stored, and the files that `export` reads."""

    def __init__(self, directory: Path) -> None:
        self.work: Workplace = make_workplace(directory / "work", RAYBUNDLE_STORE=f"file://{directory}/store")
        files = {"spec.yaml": mounting(SPEC, directory), "cluster.yaml": CLUSTER, "serve.yaml": SERVE}
        code = {
            "Train_Model.py": "import shop.app, other.app\n",
            "shop/app.py": "",
            "other/app/__init__.py": "",
        }
        tree(self.work.directory, files | {f"jobs/{name}": text for name, text in code.items()})
        self.digest = self.work.build("jobs/Train_Model.py")
        self.url = f"file://{directory}/store"
        self.spec = str(self.work.directory / "spec.yaml")

    def write(self, *arguments: str, **options: Any) -> str:
        """Returns what the library writes."""
        given = {"kind": "rayjob", "cluster_spec": self.spec, **options}
        resource = raybundle.export(self.digest, arguments, store=self.url, **given).resource
        assert resource is not None
        return resource

    def refused(self, *arguments: str, **options: Any) -> str:
        """Returns what is wrong."""
        with pytest.raises(UsageError) as refusal:
            self.write(*arguments, **options)
        return str(refusal.value)

    def file(self, text: str) -> str:
        """Returns the path of a file with this text."""
        file = self.work.directory / "given.yaml"
        file.write_text(text)
        return str(file)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("kuberay"))


def as_text(text: str) -> Any:
    """Returns what is written, each scalar as a text."""
    return yaml.load(text, yaml.BaseLoader)  # noqa: S506 - it makes texts, and nothing else


def kinds(store: Store) -> dict[str, dict[str, Any]]:
    serve = str(store.work.directory / "serve.yaml")
    return {"rayjob": {}, "raycronjob": CRON, "rayservice": {"serve_config": serve}}


@pytest.mark.parametrize("kind", ["rayjob", "raycronjob", "rayservice"])
def test_each_kind_fits_the_schema_of_kuberay_and_the_schema_refuses_an_unknown_field(
    store: Store, kind: str
) -> None:
    resource = as_text(store.write(kind=kind, **kinds(store)[kind]))
    spec = resource["spec"]
    jobs = spec.get("jobTemplate", spec)
    for place, name, typed in [
        (jobs, "shutdownAfterJobFinishes", bool),
        *((each, "replicas", int) for each in cluster_in(resource)["workerGroupSpecs"]),
    ]:
        if name in place:
            place[name] = typed(place[name])

    assert faults(kind, resource) == []
    assert faults(kind, {**resource, "spec": {**spec, "more": "1"}})


def cluster_in(resource: dict[str, Any]) -> dict[str, Any]:
    spec = resource["spec"]
    jobs = spec.get("jobTemplate", spec)
    found: dict[str, Any] = jobs.get("rayClusterSpec") or spec["rayClusterConfig"]
    return found


@pytest.mark.parametrize("kind", ["rayjob", "raycronjob", "rayservice"])
def test_label_and_annotation_have_the_digest_and_the_same_call_writes_the_same_bytes(
    store: Store, kind: str
) -> None:
    text, again = (store.write(kind=kind, **kinds(store)[kind]) for _ in range(2))

    metadata = yaml.safe_load(text)["metadata"]
    assert text == again
    assert metadata["annotations"] == {"raybundle/bundle": store.digest}
    label = metadata["labels"]["raybundle/bundle"]
    assert store.digest.removeprefix("sha256:").startswith(label)
    assert re.fullmatch("[0-9a-f]{40}", label)
    assert metadata["name"] == f"train-model-{store.digest[7:19]}"


def test_the_command_line_writes_what_the_library_writes(store: Store) -> None:
    options = ("--format", "raycronjob", "--cluster-spec", "spec.yaml", "--schedule", CRON["schedule"])
    words = ("export", store.digest[:20], *options, "--time-zone", CRON["time_zone"], "--", "--epochs", "a b")

    done = store.work.raybundle(*words)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == store.write("--epochs", "a b", kind="raycronjob", **CRON)


@pytest.mark.parametrize("file", ["spec.yaml", "cluster.yaml"])
def test_the_users_cluster_means_the_same_to_every_reader_of_yaml(store: Store, file: str) -> None:
    given = store.work.directory / file
    resource = store.write(cluster_spec=str(given))

    for load in (yaml.safe_load, as_text):
        cluster = load(given.read_text())
        assert load(resource)["spec"]["rayClusterSpec"] == cluster.get("spec", cluster)
    assert "value: 12:30\n" in resource


def test_the_job_has_the_entrypoint_and_the_runtime_env_of_plain_ray(store: Store) -> None:
    words = ["--text", "a $HOME `b` \"c\" 'd'\n", "ü\x7f\u2028\U0001f600", "1e3"]
    env = {"TEXT": "1e3 $X \x7f\u2028\U0001f600\n", "ON": "on"}

    text = store.write(*words, env=env)
    plain = raybundle.export(store.digest, words, store=store.url, env=env)

    spec = yaml.safe_load(text)["spec"]
    assert spec["submissionMode"] == "HTTPMode"
    assert spec["entrypoint"] == plain.entrypoint
    assert yaml.safe_load(spec["runtimeEnvYAML"]) == plain.runtime_env
    assert as_text(spec["runtimeEnvYAML"]) == plain.runtime_env


def test_each_application_of_a_service_runs_from_the_bundle_and_keeps_the_rest(store: Store) -> None:
    serve = str(store.work.directory / "serve.yaml")
    resource = yaml.safe_load(store.write(kind="rayservice", serve_config=serve, env={"A": "1"}))

    config = as_text(resource["spec"]["serveConfigV2"])
    own = raybundle.export(store.digest, store=store.url, env={"A": "1"}).runtime_env
    first, second = config.pop("applications")
    before = as_text(SERVE)
    assert config == {"http_options": before["http_options"]}
    assert second == {**before["applications"][1], "runtime_env": own}
    mixed = {**own, "pip": ["humanize"], "env_vars": {"MODE": "on", **own["env_vars"]}}
    assert first == {**before["applications"][0], "runtime_env": mixed}


@pytest.mark.parametrize("name", ["", "9lives", "Train", "train-", "a.b", "a_b", "a\n", "j" * 48])
def test_a_name_that_kuberay_refuses_is_refused(store: Store, name: str) -> None:
    assert f"{name!r} cannot be the name of a RayJob" in store.refused(name=name)


@pytest.mark.parametrize(("kind", "longest"), [("rayjob", 47), ("raycronjob", 36), ("rayservice", 47)])
def test_the_longest_name_is_taken(store: Store, kind: str, longest: int) -> None:
    options = {"kind": kind, **kinds(store)[kind]}

    assert yaml.safe_load(store.write(**options, name="j" * longest))["metadata"]["name"] == "j" * longest
    refusal = f"it has {longest + 1} characters, and KubeRay takes at most {longest}"
    assert refusal in store.refused(**options, name="j" * (longest + 1))


def test_the_name_that_is_made_of_the_target_fits_the_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = ["9-" + "very_long" * 9 + ".py", "jobs/__main__.py", "ünïcode.py"]
    monkeypatch.chdir(tree(tmp_path / "work", {**dict.fromkeys(targets, ""), "spec.yaml": SPEC}))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RAYBUNDLE_STORE", f"file://{tmp_path}/store")

    for target in targets:
        digest = raybundle.build(target).digest
        found = raybundle.export(digest, kind="raycronjob", cluster_spec="spec.yaml", schedule="@daily")

        name = yaml.safe_load(found.resource or "")["metadata"]["name"]
        assert re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name)
        assert len(name) <= 36
        assert name.endswith(digest[7:19])


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        (["a b"], {}, "K8sJobMode: a shell would change the argument 'a b'"),
        (["$X"], {}, "K8sJobMode: a shell would change the argument '$X'"),
        ([""], {}, "K8sJobMode: a shell would change the argument ''"),
        (["a*"], {}, "K8sJobMode: a shell would change the argument 'a*'"),
        (["~"], {}, "K8sJobMode: a shell would change the argument '~'"),
        ([], {"env": {"PRICE": "5 $"}}, "K8sJobMode: a shell would change PRICE of the runtime_env"),
        ([], {"env": {"CODE": "`x`"}}, "K8sJobMode: a shell would change CODE of the runtime_env"),
        ([], {"env": {"CODE": "\x7f"}}, "K8sJobMode: a shell would change CODE of the runtime_env"),
    ],
)
def test_what_a_shell_would_change_is_refused_for_other_modes(
    store: Store, arguments: list[str], options: dict[str, Any], expected: str
) -> None:
    assert expected == store.refused(*arguments, mode="K8sJobMode", **options)
    assert store.write(*arguments, mode="HTTPMode", **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"cluster_spec": None}, "`--format rayjob` needs `--cluster-spec`"),
        ({"kind": "raycronjob"}, "`--format raycronjob` needs `--schedule`"),
        ({"kind": "rayservice"}, "`--format rayservice` needs `--serve-config`"),
        ({"schedule": "0 3 * * *"}, "`--format rayjob` takes no --schedule"),
        ({"time_zone": "UTC"}, "`--format rayjob` takes no --time-zone"),
        ({"kind": None}, "`--format runtime-env` takes no --cluster-spec"),
        (
            {"kind": "raycronjob", "schedule": "CRON_TZ=UTC 0 3 * * *"},
            "the schedule of a RayCronJob names no",
        ),
        ({"kind": "raycronjob", "schedule": "daily"}, "'daily' is not a schedule"),
        ({"kind": "raycronjob", "schedule": "0 3 * *"}, "'0 3 * *' is not a schedule"),
        ({"kind": "raycronjob", "schedule": "0 0 3 * * *"}, "'0 0 3 * * *' is not a schedule"),
        ({"kind": "raycronjob", **CRON, "time_zone": "Berlin"}, "there is no time zone 'Berlin'"),
        ({"kind": "raycronjob", **CRON, "time_zone": "../UTC"}, "there is no time zone '../UTC'"),
    ],
)
def test_an_option_that_is_missing_or_has_no_effect_is_refused(
    store: Store, options: dict[str, Any], expected: str
) -> None:
    assert store.refused(**options).startswith(expected)


@pytest.mark.parametrize("schedule", ["@daily", "@every 1h30m", "*/15 9-17 * JAN,jul mon-FRI", "0 3 ? * 1"])
def test_a_schedule_of_cron_is_taken(store: Store, schedule: str) -> None:
    resource = as_text(store.write(kind="raycronjob", schedule=schedule))

    assert resource["spec"]["schedule"] == schedule


def test_a_store_on_this_machine_is_told_unless_every_pod_mounts_it(store: Store) -> None:
    told: list[str] = []
    worker = mounting(SPEC, store.work.directory.parent).replace("mountPath: /", "mountPath: /other/", 1)

    for spec in (SPEC, worker, mounting(SPEC, store.work.directory.parent)):
        store.write(cluster_spec=store.file(spec), notify=told.append)

    says = f"warning: the store {store.url} is a directory of this machine, and pods of "
    ends = " have nothing mounted there: mount it at the same path, or build into a store that pods read, "
    assert told == [
        f"{says}headGroupSpec, small{ends}such as s3://bucket/prefix",
        f"{says}headGroupSpec{ends}such as s3://bucket/prefix",
    ]


@pytest.mark.parametrize(("host", "reached"), [("127.0.0.1", False), ("localhost", False), ("::", True)])
def test_a_service_that_listens_to_its_own_pod_alone_is_told(
    store: Store, host: str, *, reached: bool
) -> None:
    told: list[str] = []
    config = f"http_options: {{host: '{host}'}}\n{SERVE.partition(chr(10))[2]}"

    store.write(kind="rayservice", serve_config=store.file(config), notify=told.append)

    says = (
        f"warning: `http_options` has `host: {host}`, so no request reaches the pods: write `host: 0.0.0.0`"
    )
    assert told == ([] if reached else [says])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "it is neither a RayCluster nor the `spec` of one"),
        ("kind: RayCluster\n", "it is neither a RayCluster nor the `spec` of one"),
        ("- headGroupSpec\n", "it is neither a RayCluster nor the `spec` of one"),
        ("headGroupSpec: {}\n---\nheadGroupSpec: {}\n", "not YAML: but found another document"),
        ("headGroupSpec: [\n", ":2: not YAML: "),
    ],
)
def test_a_file_that_is_no_cluster_is_refused(store: Store, text: str, expected: str) -> None:
    assert expected in store.refused(cluster_spec=store.file(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("applications: []\n", "it has no `applications`"),
        ("applications: [1]\n", "it has no `applications`"),
        (
            "applications: [{name: a, runtime_env: {working_dir: 's3://x.zip'}}]\n",
            "application 'a' has a runtime_env with `working_dir`, which the bundle sets",
        ),
        (
            "applications: [{deployments: [{ray_actor_options: {runtime_env: {py_modules: []}}}]}]\n",
            "application 1 has a runtime_env with `py_modules`, which the bundle sets",
        ),
    ],
)
def test_applications_that_would_run_outside_the_bundle_are_refused(
    store: Store, text: str, expected: str
) -> None:
    assert expected in store.refused(kind="rayservice", serve_config=store.file(text))


def test_an_application_that_the_bundle_lacks_is_told_and_is_there_once_the_script_imports_it(
    tmp_path: Path,
) -> None:
    work = make_workplace(tmp_path / "work", RAYBUNDLE_STORE=f"file://{tmp_path}/store")
    serve = "applications: [{name: shop, import_path: 'shop.app:graph'}, {import_path: 'job:graph'}]\n"
    tree(
        work.directory,
        {"job.py": "", "shop/app.py": "", "spec.yaml": mounting(SPEC, tmp_path), "serve.yaml": serve},
    )
    words = (
        "export",
        "--format",
        "rayservice",
        "--cluster-spec",
        "spec.yaml",
        "--serve-config",
        "serve.yaml",
    )

    lacking = work.raybundle(*words, work.build("job.py"))
    (work.directory / "job.py").write_text("import shop.app\n")
    whole = work.raybundle(*words, work.build("job.py"))

    assert (lacking.returncode, whole.returncode, whole.stderr) == (0, 0, "")
    assert lacking.stderr == (
        "warning: the bundle has no file for the module `shop.app` of application 'shop': unless a "
        "distribution has it, build the bundle from a script that imports it\n"
    )

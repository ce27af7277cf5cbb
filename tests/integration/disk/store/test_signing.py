"""Where signatures are required: what whoever can write to the store cannot do."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import raybundle
from raybundle.api.handle import Heard
from raybundle.bundle.delivery import Delivery, Packed, parse_delivery
from raybundle.bundle.pack import boot_digest, pack, read_boot
from raybundle.config import load_settings
from raybundle.errors import BundleError, DigestMismatchError, UntrustedError, UsageError
from raybundle.model import CollectedFile, Digest
from raybundle.node.raybundle_signature import SPKI, pae
from raybundle.pipeline.here import Here, run_stored
from raybundle.pipeline.past.rerunning import Again, order_rerun
from raybundle.publish import layout
from raybundle.publish.bundles import build, find_bundle
from raybundle.publish.catalogue import tag_bundle
from raybundle.publish.content.checking import check_store
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.content.verifying import verify_bundle
from raybundle.publish.names import record_name
from raybundle.publish.runs.records import record_start
from raybundle.publish.runs.run import new_run
from raybundle.publish.trust.envelope import MANIFEST
from raybundle.publish.trust.keys import read_signer
from raybundle.publish.trust.policy import Trust, trust_of
from raybundle.publish.trust.signatures import manifest_of, sign_bundle
from raybundle.store import Store, open_store
from raybundle.submission.connecting import Connecting
from raybundle.submission.options import JobOptions
from tests.support.installed import install
from tests.support.layer_archives import zipped
from tests.support.layered import plan_with
from tests.support.signing import base64_of, make_key, make_signer
from tests.support.small_project import tree
from tests.support.store_damage import overwrite, remove
from tests.support.unpacked_layers import HandMade, with_byte_code
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from raybundle.cache.documents import Cache
    from raybundle.publish.trust.keys import Signer
    from tests.support.s3_server import S3Server


@dataclass(frozen=True, slots=True)
class Scene:
    """A store with three bundles, the versions 1 to 3 of `fraud`, each signed as such."""

    store: Store
    bundles: tuple[Digest, ...]
    signer: Signer
    environ: Mapping[str, str]

    @property
    def trust(self) -> Trust:
        return Trust(required=True, keys=(self.signer.public,), environ=self.environ)

    def refused(self, ref: str) -> str:
        with pytest.raises(UntrustedError) as refused:
            self.trust.find(self.store, ref)
        assert refused.value.exit_code == 3
        assert "\n" not in str(refused.value)
        return str(refused.value)

    def key(self, number: int, named: str | None = None) -> str:
        return layout.signature_key(self.bundles[number], self.signer.public.id, named)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, secret_rules: Path) -> Scene:
    """Made once; each test has a copy of it."""
    directory = tmp_path_factory.mktemp("signed")
    shutil.copytree(secret_rules, directory / "cache/raybundle/secret-rules")
    store, bundles = open_store(str(directory / "store"), {}), []
    signer = make_signer(directory / "keys", "ci")
    for number in (1, 2, 3):
        site = directory / f"site{number}"
        own = install(site, "own", {"own.py": f"value = {number}  # {directory}\n".encode()})
        stored = build(plan_with(directory, [own], sites=[site]), store)
        bundles.append(stored.digest)
        record_name(store, "fraud", stored.digest)
        sign_bundle(store, f"fraud@{number}", signer)
    return Scene(store, tuple(bundles), signer, {})


@pytest.fixture
def scene(made: Scene, tmp_path: Path) -> Scene:
    return copied(made, open_store(str(tmp_path / "store"), {}), tmp_path)


def copied(made: Scene, store: Store, directory: Path) -> Scene:
    for key in made.store.keys(""):
        store.put_new(key, made.store.get(key))
    return replace(made, store=store, environ={"XDG_STATE_HOME": str(directory / "state")})


def test_a_signed_bundle_is_found_by_digest_prefix_version_and_name(scene: Scene) -> None:
    refs = (scene.bundles[2], scene.bundles[2][7:19], "fraud@3", "fraud", "fraud@1")

    found = [scene.trust.find(scene.store, ref).digest for ref in refs]

    assert found == [*[scene.bundles[2]] * 4, scene.bundles[0]]


def test_in_s3_too(made: Scene, s3: S3Server, tmp_path: Path) -> None:
    scene = copied(made, open_store(s3.prefix(), s3.environ), tmp_path)
    assert scene.trust.find(scene.store, "fraud").digest == scene.bundles[2]
    assert not sign_bundle(scene.store, "fraud@3", scene.signer).new

    remove(scene.store, scene.key(2))

    assert scene.refused("fraud") == f"bundle {scene.bundles[2]} is not signed"


def test_a_signature_is_a_dsse_envelope_that_openssl_verifies(scene: Scene, tmp_path: Path) -> None:
    envelope = json.loads(scene.store.get(scene.key(0)))
    manifest = scene.store.get(layout.manifest_key(scene.bundles[0]))
    [signature] = envelope["signatures"]
    public = base64.b64encode(SPKI + scene.signer.public.public).decode()
    (tmp_path / "ci.pub").write_text(f"-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n")
    (tmp_path / "signature").write_bytes(base64.b64decode(signature["sig"]))
    (tmp_path / "message").write_bytes(pae(envelope["payloadType"], manifest))
    words = ["-verify", "-rawin", "-pubin", "-inkey", f"{tmp_path}/ci.pub"]
    files = ["-sigfile", f"{tmp_path}/signature", "-in", f"{tmp_path}/message"]

    done = subprocess.run(["openssl", "pkeyutl", *words, *files], check=False, capture_output=True)

    assert (envelope["payloadType"], base64.b64decode(envelope["payload"])) == (MANIFEST, manifest)
    assert signature["keyid"] == scene.signer.public.id
    assert done.returncode == 0, done.stderr


def test_signed_by_an_unknown_key(scene: Scene, tmp_path: Path) -> None:
    remove(scene.store, scene.key(0))
    other = make_signer(tmp_path, "other")
    sign_bundle(scene.store, scene.bundles[0], other)

    assert scene.refused(scene.bundles[0]) == (
        f"bundle {scene.bundles[0]} is signed by no trusted key, only by {other.public.id[:16]}"
    )


def test_a_signature_by_an_unknown_key_in_the_place_of_a_trusted_one(scene: Scene, tmp_path: Path) -> None:
    other = make_signer(tmp_path, "other")
    sign_bundle(scene.store, scene.bundles[0], other)
    theirs = layout.signature_key(scene.bundles[0], other.public.id)
    renamed = scene.store.get(theirs).replace(other.public.id.encode(), scene.signer.public.id.encode())
    overwrite(scene.store, scene.key(0), renamed)

    assert "is not one of this bundle" in scene.refused(scene.bundles[0])


def test_signed_for_another_digest(scene: Scene) -> None:
    overwrite(scene.store, scene.key(1), scene.store.get(scene.key(0)))

    assert scene.refused(scene.bundles[1]).startswith(f"the signature of bundle {scene.bundles[1]} by ")


def test_a_claim_about_a_name_is_no_signature_of_the_bundle(scene: Scene) -> None:
    overwrite(scene.store, scene.key(0), scene.store.get(scene.key(0, "fraud@1")))

    assert "is not one of this bundle" in scene.refused(scene.bundles[0])


def test_stripped(scene: Scene) -> None:
    remove(scene.store, scene.key(0))

    assert scene.refused(scene.bundles[0]) == f"bundle {scene.bundles[0]} is not signed"


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"{" * 100_000, b'{"payload": 1}'])
def test_an_envelope_that_is_none(scene: Scene, data: bytes) -> None:
    overwrite(scene.store, scene.key(0), data)

    assert "is not one of this bundle" in scene.refused(scene.bundles[0])


def test_rolled_back_by_a_move_that_anybody_can_write(scene: Scene) -> None:
    tag_bundle(scene.store, "fraud@1", "fraud")

    assert scene.refused("fraud") == ("fraud points to version 1 of 3, and nobody has signed that it should")
    assert scene.trust.find(scene.store, "fraud@1").digest == scene.bundles[0]


def test_rolled_back_by_removing_later_versions_where_this_machine_has_seen_them(scene: Scene) -> None:
    scene.trust.find(scene.store, "fraud")
    remove(scene.store, "names/fraud/3.json")

    said = f"fraud is version 2 in {scene.store.url}, and this machine has seen 3"
    assert scene.refused("fraud") == said
    assert scene.trust.find(scene.store, "fraud@2").digest == scene.bundles[1]
    assert scene.refused("fraud") == said  # naming an earlier version forgets nothing


def test_rolled_back_by_a_later_version_that_is_an_earlier_bundle(scene: Scene) -> None:
    old = scene.store.get("names/fraud/1.json")
    scene.store.put_new("names/fraud/4.json", old)
    claimed = layout.signature_key(scene.bundles[0], scene.signer.public.id, "fraud@4")
    scene.store.put_new(claimed, scene.store.get(scene.key(0, "fraud@1")))

    assert scene.refused("fraud") == f"no trusted key has signed that fraud@4 is {scene.bundles[0]}"


def test_a_version_of_another_name(scene: Scene) -> None:
    scene.store.put_new("names/other/1.json", scene.store.get("names/fraud/1.json"))

    assert "no trusted key has signed that other@1 is" in scene.refused("other")


def test_the_id_of_a_run_in_the_place_of_a_name_whose_versions_are_gone(scene: Scene) -> None:
    for number in (1, 2, 3):
        remove(scene.store, f"names/fraud/{number}.json")
    record_start(scene.store, new_run(scene.bundles[0], (), {}, "http://x:8265", "fraud"))

    assert "and nobody has signed its record" in scene.refused("fraud")


def test_a_time_that_nobody_has_signed(scene: Scene) -> None:
    assert "depends on times that nobody has signed" in scene.refused("fraud@{2199-01-01}")


def test_a_version_that_was_signed_twice(scene: Scene) -> None:
    scene.trust.find(scene.store, "fraud@3")
    overwrite(scene.store, "names/fraud/3.json", scene.store.get("names/fraud/1.json"))
    sign_bundle(scene.store, "fraud@3", scene.signer)

    assert f"fraud@3 is {scene.bundles[0]} in " in scene.refused("fraud@3")


def test_a_damaged_memory_is_refused_and_named(scene: Scene, tmp_path: Path) -> None:
    scene.trust.find(scene.store, "fraud")
    [file] = (tmp_path / "state").rglob("versions.json")
    file.write_text('{"stores": {"x": {"fraud": {"version": "3"}}}}')

    assert scene.refused("fraud") == f"{file} is damaged"
    file.unlink()
    assert scene.trust.find(scene.store, "fraud").digest == scene.bundles[2]


def test_signing_again_changes_nothing_and_other_bytes_in_its_place_are_an_error(scene: Scene) -> None:
    assert not sign_bundle(scene.store, "fraud@1", scene.signer).new
    overwrite(scene.store, scene.key(0), b"{}")

    with pytest.raises(DigestMismatchError):
        sign_bundle(scene.store, "fraud@1", scene.signer)


def test_a_version_is_signed_for_the_digest_that_the_user_names(scene: Scene) -> None:
    with pytest.raises(UsageError, match="nothing was signed"):
        sign_bundle(scene.store, scene.bundles[0], scene.signer, "fraud@3")
    with pytest.raises(UsageError, match="is not a version of a name"):
        sign_bundle(scene.store, scene.bundles[0], scene.signer, "fraud")

    assert sign_bundle(scene.store, scene.bundles[0], scene.signer, "fraud@1").name == "fraud@1"


def test_check_and_verify_know_signatures_and_find_those_of_another_bundle(
    scene: Scene, cache: Cache
) -> None:
    shelf = open_shelf(scene.store, cache)
    assert check_store(shelf).findings == ()
    assert verify_bundle(shelf, scene.bundles[1]).faults == ()

    overwrite(scene.store, scene.key(1), scene.store.get(scene.key(0)))
    overwrite(scene.store, scene.key(1, "fraud@2"), scene.store.get(scene.key(0, "fraud@1")))

    wrong = [scene.key(1), scene.key(1, "fraud@2")]
    found = check_store(shelf).findings
    assert [(each.kind, each.key) for each in found] == [("damaged", key) for key in wrong]
    assert [each.key for each in verify_bundle(shelf, scene.bundles[1]).faults] == wrong


@pytest.mark.slow
def test_byte_code_of_the_store_never_runs_other_code_than_the_sources_of_the_bundle(
    scene: Scene, cache: Cache, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whoever can write to the store adds an archive whose delivery names byte-code of theirs."""
    stored = find_bundle(scene.store, scene.bundles[0])
    entry = stored.manifest.layers[0]
    evil = with_byte_code(HandMade(entry, {}), Path(sys.executable), {"own.py": "value = 'evil'\n"})
    _plant(scene, stored.digest, evil)
    shelf, words = open_shelf(scene.store, cache), ("-c", "import own; print(own.value)")

    for found in (
        find_bundle(scene.store, stored.digest),  # as no command takes it
        Trust(required=False, keys=(), environ=scene.environ).find_plain(scene.store, stored.digest),
        scene.trust.find_plain(scene.store, stored.digest),
    ):
        run_stored(shelf, Here(found, JobOptions(), sys.executable, words))

    assert capfd.readouterr().out.split() == ["evil", "1", "1"]


@pytest.mark.slow
def test_only_byte_code_that_this_machine_has_compiled_travels_from_the_store(tmp_path: Path) -> None:
    big = install(tmp_path / "site", "big", {"big.py": b"value = 1\n" * (1 << 17)})
    planned = plan_with(tmp_path, [big], sites=[tmp_path / "site"])
    store = open_store(str(tmp_path / "store"), {})
    whole = build(planned, store)
    found = find_bundle(store, whole.digest)

    here, elsewhere = (
        Trust(required=False, keys=(), environ={"XDG_CACHE_HOME": str(place)}).plain(store, found)
        for place in (planned.cache.directory.parent, tmp_path / "other")
    )

    assert len(found.layers) == 2
    assert here == found
    assert elsewhere.layers == found.layers[:1]
    assert b'"byte_code":{}' in (elsewhere.delivery_data or b"")
    assert elsewhere.delivery == hashlib.sha256(elsewhere.delivery_data or b"").hexdigest()


def _plant(scene: Scene, digest: Digest, evil: HandMade) -> None:
    stored = find_bundle(scene.store, digest)
    name = f"{evil.hex}-{evil.byte_code}"
    archive = zipped(evil.members)
    tag, listing = (evil.byte_code or "").rsplit("-", 1)
    scene.store.put_new(f"layers/{name}.zip", archive)
    known = parse_delivery(scene.store.get(layout.delivery_key(stored.archive_key)), "")
    packed = {**known.archives, name: Packed(hashlib.sha256(archive).hexdigest(), len(archive))}
    delivery = Delivery(known.absent, {evil.hex: (tag, listing)}, packed).format()
    job = b"print(1)\n"
    files = [
        CollectedFile(each.path, each.executable, each.size, each.sha256, job)
        for each in stored.manifest.files
    ]
    planted = pack(manifest_of(stored), files, delivery)
    key = layout.archive_key(digest, boot_digest(read_boot()), planted.sha256)
    scene.store.put_new(key, planted.data)
    scene.store.put_new(layout.delivery_key(key), delivery)
    remove(scene.store, stored.archive_key)


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    """A project whose bundle is `job@1`, and the keys `ci` and `other`."""
    found = make_workplace(tmp_path / "work", VIRTUAL_ENV=sys.prefix)
    tree(found.directory, {"job.py": f"print('RAN')  # {tmp_path}\n", "pyproject.toml": "[project]\n"})
    make_key(found.directory / "keys", "ci")
    make_key(found.directory / "keys", "other")
    return found


def test_every_function_that_runs_or_unpacks_a_bundle_asks_for_the_signature(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path / "work", {"job.py": "print(1)\n", "pyproject.toml": "[project]\n"})
    monkeypatch.chdir(tmp_path / "work")
    for number in (0, 1):
        remove(scene.store, scene.key(number))
    first, second = scene.bundles[:2]
    key = base64.b64encode(SPKI + scene.signer.public.public).decode()
    given: Any = {"store": scene.store.url, "require_signature": True, "trusted_keys": [key]}
    cluster: Any = {"address": "http://127.0.0.1:9"}  # nobody answers there, and nobody is asked
    calls: list[Callable[[], object]] = [
        lambda: raybundle.run(first, **given, **cluster),
        lambda: raybundle.submit("job.py", **given),
        lambda: raybundle.run_here(first, **given),
        lambda: raybundle.pull(first, tmp_path / "pulled", **given),
        lambda: raybundle.export(first, **given),
        lambda: raybundle.bisect(first, second, here=True, **given),
    ]
    before = scene.store.keys("")

    for call in calls:
        with pytest.raises(UntrustedError, match=r"bundle sha256:[0-9a-f]{64} is not signed"):
            call()

    assert scene.store.keys("") == before  # `submit` uploads nothing
    assert not (tmp_path / "pulled").exists()


def trusting(scene: Scene) -> dict[str, Any]:
    key = base64.b64encode(SPKI + scene.signer.public.public).decode()
    return {"store": scene.store.url, "require_signature": True, "trusted_keys": [key]}


def replace_archive(scene: Scene, data: bytes, boot: str | None = None) -> None:
    """Replaces the archive of the first bundle by one that its name describes."""
    stored = find_bundle(scene.store, scene.bundles[0])
    remove(scene.store, stored.archive_key)
    boot = boot or stored.boot
    key = layout.archive_key(stored.digest, boot, hashlib.sha256(data).hexdigest())
    scene.store.put_new(key, data)


def hostile(scene: Scene) -> bytes:
    """Returns the first bundle's archive with another `sitecustomize`."""
    data = io.BytesIO()
    stored = scene.store.get(find_bundle(scene.store, scene.bundles[0]).archive_key)
    with zipfile.ZipFile(io.BytesIO(stored)) as before, zipfile.ZipFile(data, "w") as after:
        for name in before.namelist():
            after.writestr(name, b"evil = 1\n" if name == "sitecustomize.py" else before.read(name))
    return data.getvalue()


def test_an_export_names_no_archive_that_differs_from_what_was_signed(made: Scene, tmp_path: Path) -> None:
    given = trusting(made)
    good = raybundle.export(made.bundles[0], **given).runtime_env
    damaged: dict[str, tuple[bytes, str | None, type[BundleError], str]] = {
        "other": (hostile(made), "e" * 64, UntrustedError, "has another boot than this raybundle"),
        "evil": (hostile(made), None, DigestMismatchError, "expected the boot and the manifest"),
    }

    assert good["env_vars"]["RAYBUNDLE_BOOT"] == boot_digest(read_boot())
    for name, (data, boot, kind, text) in damaged.items():
        scene = copied(made, open_store(str(tmp_path / name), {}), tmp_path)
        replace_archive(scene, data, boot)
        with pytest.raises(kind, match=text):
            raybundle.export(scene.bundles[0], **{**given, "store": scene.store.url})


def test_serve_runs_of_a_pinned_application_what_is_signed_and_not_what_the_file_names(
    scene: Scene, tmp_path: Path
) -> None:
    given, file = trusting(scene), tmp_path / "pinned.json"
    first = raybundle.export(scene.bundles[0], **given).runtime_env
    evil = {**first["env_vars"], "RAYBUNDLE_BOOT": "00", "MINE": "1"}
    application = {"name": "a", "import_path": "own:value"}
    file.write_text(
        json.dumps(
            {
                "applications": [
                    {
                        **application,
                        "runtime_env": {**first, "working_dir": "https://evil/a.zip", "env_vars": evil},
                    }
                ]
            }
        )
    )

    [found] = raybundle.serve.build(str(file), **given).applications

    assert found == {
        **application,
        "runtime_env": {**first, "env_vars": {"MINE": "1", **first["env_vars"]}},
    }


def test_rerun_takes_from_an_unsigned_record_nothing_that_may_run_other_code(scene: Scene) -> None:
    run = new_run(scene.bundles[0], ("--epochs", "1"), {"LD_PRELOAD": "evil.so"}, "http://127.0.0.1:9")
    facts = {"env": {"LD_PRELOAD": "evil.so"}, "runtime_env": {"pip": ["evil"]}}
    record_start(scene.store, replace(run, facts=facts))
    key = base64.b64encode(SPKI + scene.signer.public.public).decode()
    flags = {"store": scene.store.url, "require-signature": True, "trusted-keys": [key]}
    connecting = Connecting(load_settings(flags, {}, Path("/nowhere")), {}, print)

    with pytest.raises(UntrustedError) as refused:
        order_rerun(Again(run.id), JobOptions(), connecting, Heard(print))

    assert str(refused.value) == (
        f"the record of run {run.id} is not signed, and brings LD_PRELOAD, runtime_env"
    )


@pytest.mark.slow
def test_what_is_refused_is_signed_as_the_hint_says_and_runs(work: Workplace, tmp_path: Path) -> None:
    digest = work.build("--name", "job", "job.py")
    key = base64_of(work.directory / "keys/ci.pub")
    env = {"RAYBUNDLE_REQUIRE_SIGNATURE": "true", "RAYBUNDLE_TRUSTED_KEYS": key}
    for ref in (digest, "job"):
        refused = work.raybundle("run", "--here", ref, env=env)
        assert refused.returncode == 3
        [hint] = re.findall(r"`raybundle (sign .*?)`", refused.stderr)

        signed = work.raybundle(*shlex.split(hint.replace("FILE", "keys/ci.pem")))
        ran = work.raybundle("run", "--here", ref, env=env)

        assert (signed.returncode, signed.stdout) == (0, f"{digest}\n"), signed.stderr
        assert (ran.returncode, ran.stdout) == (0, "RAN\n"), ran.stderr
    shown = [json.loads(work.raybundle("--json", "show", "job", env=each).stdout) for each in (env, {})]
    assert [[one["state"] for one in each["signatures"]] for each in shown] == [["trusted"], ["unknown"]]
    exported = work.raybundle("export", "--format", "runtime-env", "job", env=env)
    pulled = work.raybundle("pull", "job", str(tmp_path / "pulled"), env=env)
    assert "whoever can write there can replace it" in exported.stderr
    assert json.loads(exported.stdout)["env_vars"]["RAYBUNDLE_SIGNATURES"].count(":") == 1
    assert pulled.returncode == 0, pulled.stderr


@pytest.mark.parametrize("words", [("--here", "job"), ("job", "--here"), ("job",)], ids=" ".join)
def test_a_demand_for_a_signature_that_the_job_would_get_is_refused(
    work: Workplace, words: tuple[str, ...]
) -> None:
    work.build("--name", "job", "job.py")

    refused = work.raybundle("run", *words, "--require-signature")
    [hint] = re.findall(r"`raybundle (run .*?)`", refused.stderr)
    required = work.raybundle(*shlex.split(hint), "--here", env={"RAYBUNDLE_TRUSTED_KEYS": "keys/ci.pub"})
    passed = work.raybundle("run", "--here", "--", "job", "--require-signature")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "is not signed" in required.stderr
    assert (passed.returncode, passed.stdout) == (0, "RAN\n"), passed.stderr


def test_keys_that_cannot_be_used_are_named_with_what_makes_one(tmp_path: Path) -> None:
    private, _ = make_key(tmp_path, "ci")
    (tmp_path / "none.pem").write_text("nothing\n")
    subprocess.run(["openssl", "genrsa", "-out", tmp_path / "rsa.pem", "2048"], check=True)
    locked = ["pkey", "-in", str(private), "-aes256", "-passout", "pass:x", "-out", f"{tmp_path}/locked.pem"]
    subprocess.run(["openssl", *locked], check=True)
    said = {
        "absent": f"cannot read the key {tmp_path}/absent.pem: No such file or directory",
        "none": f"{tmp_path}/none.pem is not a private key in PEM",
        "rsa": f"{tmp_path}/rsa.pem is not an ed25519 key",
        "locked": f"the key {tmp_path}/locked.pem is encrypted",
    }

    for name, line in said.items():
        with pytest.raises(UsageError) as refused:
            read_signer(tmp_path / f"{name}.pem")
        assert str(refused.value) == line


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ([], "signatures are required, and no key is trusted"),
        (["none.pem"], "none.pem in `trusted-keys` is not an ed25519 public key"),
        (["absent"], "`trusted-keys` has 'absent', which is neither a public key nor a file: No such file…"),
    ],
)
def test_trusted_keys_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: list[str], line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none.pem").write_text("nothing\n")
    settings = load_settings({"require-signature": True, "trusted-keys": keys}, {}, tmp_path)

    with pytest.raises(UsageError) as refused:
        trust_of(settings, {})

    assert str(refused.value).startswith(line.rstrip("…"))


def test_a_key_in_pyproject_is_relative_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_key(tmp_path / "keys", "ci")
    text = "[tool.raybundle]\nrequire-signature = true\ntrusted-keys = ['keys/ci.pub']\n"
    tree(tmp_path, {"pyproject.toml": text, "below/file": ""})
    monkeypatch.chdir(tmp_path / "below")

    [key] = trust_of(load_settings({}, {}, tmp_path), {}).keys

    assert key == read_signer(tmp_path / "keys/ci.pem").public


def test_the_setting_is_true_or_false(tmp_path: Path) -> None:
    for word, on in {"true": True, "on": True, "false": False, "off": False}.items():
        settings = load_settings({}, {"RAYBUNDLE_REQUIRE_SIGNATURE": word}, tmp_path)
        assert settings.is_on("require-signature") is on
    with pytest.raises(UsageError, match="must be true or false, and is 'yes'"):
        load_settings({}, {"RAYBUNDLE_REQUIRE_SIGNATURE": "yes"}, tmp_path)


@pytest.mark.slow
def test_a_locked_key_signs_as_the_hint_says(work: Workplace) -> None:
    digest = work.build("job.py")
    locked = ["pkey", "-in", "keys/ci.pem", "-aes256", "-passout", "pass:x", "-out", "keys/locked.pem"]
    subprocess.run(["openssl", *locked], check=True, cwd=work.directory)
    opened = "<(openssl pkey -in keys/locked.pem -passin pass:x)"
    line = f"{shlex.quote(sys.executable)} -m raybundle --json sign --key {opened} {digest}"

    done = work.command(["bash", "-c", line])

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["new"] is True

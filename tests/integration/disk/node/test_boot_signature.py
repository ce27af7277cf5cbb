"""A node that names keys runs only bundles that one of them has signed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from raybundle.node.raybundle_signature import SIGNATURES, TRUSTED, pae
from raybundle.publish.trust.envelope import MANIFEST, VERSION
from tests.support.booting import make_interpreter, unpack, with_cache_at
from tests.support.signing import base64_of, make_key, make_signer

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.publish.trust.keys import Signer
    from tests.support.booting import Unpacked


@dataclass(frozen=True, slots=True)
class Scene:
    """A node that trusts one key, and two bundles."""

    node: Unpacked
    other: Unpacked
    python: Path
    keys: str
    signer: Signer

    def word(self, of: Unpacked, kind: str = MANIFEST, signer: Signer | None = None) -> str:
        """Returns what a client sends for a signature of a bundle's manifest."""
        signer, data = signer or self.signer, (of.scratch / ".raybundle/manifest.json").read_bytes()
        return f"{signer.public.public.hex()}:{signer.sign(pae(kind, data)).hex()}"

    def run(self, signatures: str | None, keys: str | None = None) -> tuple[int, str, str]:
        """Runs the driver; returns exit code, stdout and stderr."""
        sent = {} if signatures is None else {SIGNATURES: signatures}
        env = {"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}", TRUSTED: keys or self.keys, **sent}
        done = self.node.run(self.python, "job.py", env=env)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of the version of the tests."""
    return make_interpreter(tmp_path_factory.mktemp("python") / "env", sys.executable)


@pytest.fixture
def scene(tmp_path: Path, python: Path) -> Scene:
    (tmp_path / "cache").mkdir()
    signer = make_signer(tmp_path, "ci")
    nodes = [
        unpack(tmp_path / name, {"project/job.py": f"print('RAN')  # {name} {tmp_path}\n"})
        for name in ("one", "other")
    ]
    node = with_cache_at(nodes[0], tmp_path / "cache")
    return Scene(node, nodes[1], python, base64_of(tmp_path / "ci.pub"), signer)


def test_a_signed_bundle_runs_and_again_from_the_cache(scene: Scene) -> None:
    word = scene.word(scene.node)

    assert [scene.run(word), scene.run(word)] == [(0, "RAN\n", "")] * 2


@pytest.mark.parametrize("how", ["stripped", "unknown key", "another digest", "another type", "no hex"])
def test_what_no_trusted_key_has_signed_is_refused_with_one_line(
    scene: Scene, tmp_path: Path, how: str
) -> None:
    stranger = make_signer(tmp_path, "stranger")
    sent, found = {
        "stripped": (None, "none"),
        "unknown key": (scene.word(scene.node, signer=stranger), stranger.public.id[:16]),
        "another digest": (scene.word(scene.other), scene.signer.public.id[:16]),
        "another type": (scene.word(scene.node, VERSION), scene.signer.public.id[:16]),
        "no hex": ("key:signature", "none"),
    }[how]

    code, out, said = scene.run(sent)

    assert (code, out, said.count("\n")) == (78, "", 1)
    assert said.startswith(f"raybundle: boot failed: bundle {scene.node.digest}: node ")
    assert "manifest.json: expected a signature of a key that this node trusts, found " in said
    assert found in said


def test_one_of_several_signatures_is_enough(scene: Scene, tmp_path: Path) -> None:
    stranger = make_signer(tmp_path, "stranger")
    words = [scene.word(scene.node, signer=stranger), scene.word(scene.node)]

    assert scene.run(",".join(words))[0] == 0


@pytest.mark.slow
def test_a_tree_is_verified_again_once_the_node_trusts_other_keys(scene: Scene, tmp_path: Path) -> None:
    """First the node names no key, and makes the tree; then it names one, and then another."""
    assert scene.node.driver(scene.python, "job.py").stdout == "RAN\n"
    make_key(tmp_path, "next")
    word = scene.word(scene.node)

    assert scene.run(None)[0] == 78
    assert scene.run(word)[0] == 0
    assert scene.run(None)[0] == 0  # this tree is known to be signed
    assert scene.run(word, base64_of(tmp_path / "next.pub"))[0] == 78
    assert scene.run(word, f"{base64_of(tmp_path / 'next.pub')}, {scene.keys}")[0] == 0


def test_keys_that_are_none_refuse_everything(scene: Scene) -> None:
    code, _, said = scene.run(scene.word(scene.node), "/a/file")

    assert code == 78
    assert "variable RAYBUNDLE_TRUSTED_KEYS: expected public keys, found others" in said
    assert scene.node.driver(scene.python, "job.py").returncode == 0  # makes the tree
    assert scene.run(scene.word(scene.node), " ")[0] == 78

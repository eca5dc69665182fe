"""The JavaScript scorer says what the Python one says, of odd URLs and odd hosts; node runs it, where there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gossip.advisor.scorer import Scorer
from gossip.exports.javascript import module
from gossip.exports.outgoing import Outgoing
from gossip.filterlists.split import registrable, suffix_rules
from gossip.training.spec import ModelSpec
from ledger.errors import LocalError
from tests.exports import js_vectors
from tests.training.test_spec import OWN

NODE = shutil.which("node")
CHECK = Path(__file__).with_name("check.mjs")
needs_node = pytest.mark.skipif(NODE is None, reason="NOT RUN: no node is installed, so no JavaScript was run")


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("modules")
    for name, model in js_vectors.MODELS.items():
        (place / f"{name}.mjs").write_bytes(module(model))
    return {name: place / f"{name}.mjs" for name in js_vectors.MODELS}


def differences(*modules: tuple[str, Path], vectors: Path = js_vectors.VECTORS) -> list[list[dict[str, object]]]:
    """Of each module, what it says differently from the vectors."""
    return list(json.loads(run(CHECK, vectors, *(f"{name}={path}" for name, path in modules))))


def run(*words: object) -> str:
    assert NODE is not None
    done = subprocess.run([NODE, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_vectors_are_what_python_says_today() -> None:
    assert js_vectors.VECTORS.read_text("utf-8") == js_vectors.text()


def test_the_scorer_of_python_says_what_the_vectors_say() -> None:
    """Which were worked out in double precision, one number after the other."""
    rows = [row for _, row in js_vectors.sightings()]
    for name, model in js_vectors.MODELS.items():
        wanted = [row[name]["p"] for row in json.loads(js_vectors.VECTORS.read_text("utf-8"))["requests"]]
        found = Scorer(model.spec, model.theta, model.calibration, "").score(rows)
        assert np.abs(found - np.array(wanted)).max() < 1e-6
        assert found[:, 2].max() - found[:, 2].min() > 0.1  # or they would prove little


@needs_node
def test_javascript_says_the_same_buckets_domains_and_probabilities(modules: dict[str, Path]) -> None:
    assert differences(*modules.items()) == [[]] * len(js_vectors.MODELS)


ERRORS = (  # in the code, and where they show
    ("0x85ebca6b", "0x85ebca6c", "buckets"),
    ("Math.clz32(part.length)", "Math.clz32(part.length + 1)", "marks"),
    ('authority.lastIndexOf("@")', 'authority.indexOf("@")', "host"),
    ("node.has(`!${label}`)", "false", "domain"),
    ("third_party === undefined ? worked", "true ? worked", "marks"),
    ("Math.min(longest, 9)", "Math.min(longest, 8)", "marks"),
    (".subarray(0, 32)", "", "marks"),
    ("site.slice(cut(site) + 1)", "site", "marks"),
    ('whole("d", domain)', 'whole("n", domain)', "marks"),
    ("0.5 * half[u]", "0.5001 * half[u]", "p"),
    (">= threshold", "> 2", "block"),
)


@needs_node
def test_the_check_sees_each_way_to_differ(modules: dict[str, Path], tmp_path: Path) -> None:
    code = modules["context"].read_text()
    for number, (right, wrong, _) in enumerate(ERRORS):
        assert code.count(right) == 1
        (tmp_path / f"{number}.mjs").write_text(code.replace(right, wrong))
    (tmp_path / "short.json").write_text(js_vectors.text(longest=2_000))  # a megabyte a dozen times takes seconds
    wrong = (("context", tmp_path / f"{number}.mjs") for number in range(len(ERRORS)))
    found = differences(("context", modules["context"]), *wrong, vectors=tmp_path / "short.json")
    assert found[0] == []
    for (right, _, shows), told in zip(ERRORS, found[1:], strict=True):
        assert any(str(each["what"]).startswith(f"{shows} of ") for each in told), right


@needs_node
def test_every_rule_of_the_suffix_list_cuts_domains_where_python_cuts_them(
    modules: dict[str, Path], tmp_path: Path
) -> None:
    hosts = [f"a.b.{rule.replace('*', 'x').replace('!', '')}" for rule in suffix_rules()]
    hosts += [host[4:] for host in hosts[::5]] + [host.encode("idna").decode() for host in hosts if not host.isascii()]
    (tmp_path / "hosts.json").write_text(json.dumps(hosts))
    (tmp_path / "cut.mjs").write_text(
        f"import {{ registrable }} from {json.dumps(modules['deep'].as_uri())};\n"
        "import { readFileSync } from 'node:fs';\n"
        "console.log(JSON.stringify(JSON.parse(readFileSync(process.argv[2], 'utf-8')).map(registrable)));\n"
    )
    assert len(hosts) > 8_000
    assert json.loads(run(tmp_path / "cut.mjs", tmp_path / "hosts.json")) == [registrable(host) for host in hosts]


@needs_node
def test_a_module_says_what_it_is_and_nothing_of_it_ends_a_script(tmp_path: Path) -> None:
    evil = replace(js_vectors.MODELS["deep"], name="</script><!--\u2028", origin={"swarm": "ab" * 32, "final": True})
    data = module(evil)
    assert b"</script" not in data
    assert b"<!--" not in data
    (tmp_path / "model.mjs").write_bytes(data)
    (tmp_path / "say.mjs").write_text('import { about } from "./model.mjs"; console.log(JSON.stringify(about));')
    assert json.loads(run(tmp_path / "say.mjs")) == evil.about


def test_the_same_model_gives_the_same_bytes_and_the_code_is_a_few_kilobytes() -> None:
    model = js_vectors.MODELS["flat"]
    data = module(model)
    assert data == module(model)
    code = data[: data.index(b"export const about")]
    assert len(code) < 13_000
    assert len(data) < len(code) + 4 * len(model.values) / 3 + 90_000  # the suffixes, and what it is


def test_a_model_that_takes_no_requests_is_refused() -> None:
    spec = ModelSpec.parse(OWN)
    with pytest.raises(LocalError, match="cannot be written as JavaScript"):
        module(Outgoing(spec, np.zeros(spec.parameters, np.float32), "digits"))

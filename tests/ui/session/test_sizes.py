"""An own model that cannot be used is listed with the reason, and nobody else notices."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import constants

from gpt2.checkpoint import CheckpointError
from gpt2.config import SIZES, GPT2Config
from gpt2.residency import Residency
from gpt2.ui import build_page
from gpt2.ui.compare.requested import needs
from gpt2.ui.page.handlers import Handlers
from gpt2.ui.session.playground import Playground
from gpt2.ui.session.requests import checked, count_tokens
from gpt2.ui.session.runner import Runner
from gpt2.ui.session.sizes import (
    OWN_MODEL_VARIABLE,
    check_offered,
    choices,
    config_of,
    drafts_for,
    label,
    offered,
    source_of,
    tokenizer_of,
)
from tests.checkpoint.conftest import Fetcher
from tests.hub_standin import HubStandin, write_gpt2_folder
from tests.small import CONFIG, small_engine
from tests.ui.writing import outputs

VISITOR: Any = SimpleNamespace(
    session_hash="visitor", request=SimpleNamespace(client=SimpleNamespace(host="")), headers={}
)
FIELDS = [0.8, 2, 0, 1.0, "1"]


def edit(folder: Path, **keys: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


DAMAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("moved away", shutil.rmtree, "no config.json"),
    ("without weights", lambda f: (f / "model.safetensors").unlink(), "no model.safetensors"),
    ("without config", lambda f: (f / "config.json").unlink(), "no config.json"),
    ("half a config", lambda f: (f / "config.json").write_text('{"n_emb'), "is not JSON"),
    ("another kind", lambda f: edit(f, model_type="llama"), "model_type 'llama'"),
    ("a nonsense shape", lambda f: edit(f, n_layer="many"), "n_layer 'many'"),
    ("no tokenizer for it", lambda f: edit(f, vocab_size=32_000), "brings no tokenizer"),
    ("half a tokenizer", lambda f: (f / "tokenizer.json").write_text("{"), "is not JSON"),
    ("a file in its place", lambda f: (shutil.rmtree(f), f.write_text("")), "no config.json"),
]


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    write_gpt2_folder(folder, CONFIG)
    monkeypatch.setenv(OWN_MODEL_VARIABLE, str(folder))
    return folder


def handlers() -> Handlers:
    return Handlers(Playground(Runner(Residency(10**9, lambda name, _: small_engine()), 2)))


def check_others(handlers: Handlers) -> None:
    """Everything that a visitor of another size may do."""
    assert [name for _, name in choices()] == [*SIZES, "mine"]
    assert label("tiny") == "Tiny · 2.3 M · built in"
    assert "small" in drafts_for("medium") and "mine" not in drafts_for("medium")
    assert count_tokens("It was late", "tiny") == "3 of 512 tokens"
    assert checked("It was late", "medium", *FIELDS, "small").draft == "small"
    assert handlers.arrive("tiny")[1].startswith("Tiny · ")
    assert handlers.size_changed("small", "mine")[1] == 1023
    for _ in range(2):  # once anew, then Continue
        for frames in (
            handlers.generate("It was", "tiny", *FIELDS, "off", VISITOR),
            handlers.go_on("", "tiny", *FIELDS, "off", VISITOR),
        ):
            assert outputs(handlers._playground, frames)[-1]["state"] == "done"


@pytest.mark.parametrize(
    ("damage", "reason"), [d[1:] for d in DAMAGES], ids=[name for name, *_ in DAMAGES]
)
@pytest.mark.parametrize("before", [True, False], ids=["at the start", "later"])
def test_a_folder_that_cannot_be_read(
    own: Path,
    tmp_path: Path,
    damage: Callable[[Path], object],
    reason: str,
    before: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    if not before:
        check_offered()
        assert choices()[-1] == ("mine · local", "mine") and not caplog.records
    page = handlers()
    damage(own)
    if before:
        check_offered()
        assert reason in caplog.text
    check_others(page)
    listed = label("mine")
    assert listed.startswith("mine · cannot be used: ") and reason in listed
    told = [listed, page.arrive("mine")[1], page.size_changed("mine", "off")[3]]
    told += [count_tokens("It was late", "mine")]
    said = [o for o, *_ in page.generate("It was", "mine", *FIELDS, "off", VISITOR)]
    told += [str(o) for o in said]
    assert str(tmp_path) not in " ".join(told)
    if reason not in ("no model.safetensors", "brings no tokenizer"):
        with pytest.raises(CheckpointError):
            needs([checked("a", "tiny", *FIELDS), *_own_request()])
    if own.is_file():
        own.unlink()
    write_gpt2_folder(own, CONFIG)  # the training job is done
    for file in own.glob("tokenizer.json"):
        file.unlink()
    assert choices()[-1] == ("mine · local", "mine")
    assert checked("a", "mine", *FIELDS).size == "mine"


def _own_request() -> list[Any]:
    return [checked("a", "mine", *FIELDS)]


def test_the_page_is_built_with_a_model_that_cannot_be_read(own: Path) -> None:
    shutil.rmtree(own)
    page = build_page()
    page.close()


def test_a_folder_that_is_moved_away_does_not_become_a_repository(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    write_gpt2_folder(tmp_path / "models" / "parrot", CONFIG)
    monkeypatch.setenv(OWN_MODEL_VARIABLE, "models/parrot")
    assert "parrot" in offered()
    shutil.rmtree(tmp_path / "models")
    assert source_of("parrot").folder == tmp_path / "models" / "parrot"
    assert "no config.json" in label("parrot")


def test_a_link_to_the_newest_is_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Training jobs write a new folder, move the link and delete the old one."""
    newest = tmp_path / "newest"
    monkeypatch.setenv(OWN_MODEL_VARIABLE, str(newest))
    for step, context in ((100, 33), (200, 44)):
        folder = tmp_path / f"step-{step}"
        write_gpt2_folder(folder, replace(CONFIG, max_seq_len=context))
        newest.unlink(missing_ok=True)
        newest.symlink_to(folder)
        assert choices()[-1] == ("newest · local", "newest")
        assert config_of("newest").max_seq_len == context
        shutil.rmtree(folder)
        assert "no config.json" in label("newest")


@pytest.mark.parametrize("name", ["no such thing", "~nobody-at-all/model", "x" * 5000, "a/../b"])
def test_a_name_that_is_neither_is_told_at_the_start(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OWN_MODEL_VARIABLE, name)
    with pytest.raises(ValueError, match="is no model") as caught:
        check_offered()
    assert len(str(caught.value)) < 300


@pytest.fixture
def cached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The snapshot of a repository whose config is here and whose weights are not."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv(OWN_MODEL_VARIABLE, "owner/name")
    repository = tmp_path / "models--owner--name"
    snapshot = repository / "snapshots" / ("c" * 40)
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("c" * 40)
    write_gpt2_folder(snapshot, CONFIG)
    (snapshot / "model.safetensors").unlink()
    return snapshot


def test_a_repository_whose_config_cannot_be_run(cached: Path) -> None:
    """The server started again only when the cache was emptied."""
    edit(cached, model_type="bert")
    check_offered()
    assert "model_type 'bert'" in label("owner/name")
    assert drafts_for("medium") == ["distil", "small"]
    assert drafts_for("owner/name") == []
    assert "cannot be counted" in count_tokens("It was late", "owner/name")
    build_page().close()


def test_the_real_config_is_followed_before_the_weights_are_here(cached: Path) -> None:
    assert config_of("owner/name") == CONFIG
    assert tokenizer_of("owner/name").vocab_size == CONFIG.vocab_size
    assert count_tokens("a", "owner/name").endswith(f"of {CONFIG.max_seq_len} tokens")
    page = handlers()
    assert page.size_changed("owner/name", "off")[1] == CONFIG.max_seq_len - 1
    assert page.downloaded("owner/name")[1]["maximum"] == CONFIG.max_seq_len - 1
    assert label("owner/name") == "owner/name · to download"


def test_until_it_is_known_gpt2_s_usual_shape_stands_in(cached: Path) -> None:
    shutil.rmtree(cached)
    assert config_of("owner/name") == GPT2Config()
    assert tokenizer_of("owner/name").vocab_size == 50257


def test_a_checkpoint_that_was_written_anew_is_loaded_anew(own: Path) -> None:
    runner = Runner(Residency(10**9), 2)
    page = Handlers(Playground(runner))
    write_gpt2_folder(own, CONFIG)
    said = outputs(page._playground, page.generate("It was", "mine", *FIELDS, "off", VISITOR))
    assert said[-1]["state"] == "done"
    with runner.engine("mine") as first, runner.engine("mine") as again:
        assert first is again
        write_gpt2_folder(own, replace(CONFIG, num_blocks=CONFIG.num_blocks + 1), seed=1)
        with runner.engine("mine") as used:  # whoever writes with it goes on
            assert used is first
    with runner.engine("mine") as second:
        assert second.config.num_blocks == CONFIG.num_blocks + 1
    said = [o for o, *_ in page.go_on("", "mine", *FIELDS, "off", VISITOR)]
    assert "have changed since" in said[-1]["note"]
    said = outputs(page._playground, page.generate("It was", "mine", *FIELDS, "off", VISITOR))
    assert said[-1]["state"] == "done"


def test_what_a_repository_is_is_asked_at_the_start(tmp_path: Path) -> None:
    """Without its weights; one that cannot be run is listed with the reason before it is used."""
    program = """
import os, time
from gpt2.checkpoint import cached_facts
from gpt2.ui.session.sizes import check_offered, config_of, label, source_of
for name in ("owner/good", "owner/characters"):
    os.environ["GPT2_MODEL"] = name
    check_offered()
    end = time.monotonic() + 20
    while cached_facts(source_of(name)) is None and time.monotonic() < end:
        time.sleep(0.05)
    print(label(name), config_of(name).max_seq_len)
"""
    with HubStandin() as hub:
        for name, rows in (("good", 400), ("characters", 65)):
            write_gpt2_folder(tmp_path / name, replace(CONFIG, vocab_size=rows))
            hub.add(f"owner/{name}", tmp_path / name)
        fetcher = Fetcher(tmp_path / "home", hub.endpoint, ("-c", program))
        said, _ = fetcher.process.communicate(timeout=250)
        good, characters = said.splitlines()
        assert good == f"owner/good · to download {CONFIG.max_seq_len}"
        assert "cannot be used: " in characters and "65 tokens and brings no tok" in characters
        assert not hub.bodies("owner/good") and not hub.bodies("owner/characters")

"""Environment variables: read in one place, each told of by a sentence, all in one table."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from gpt2.engine import SLOTS
from gpt2.precision import ALL_PRECISIONS, AUTO
from gpt2.runtime import settings
from gpt2.runtime.settings import SETTINGS, Setting, SettingError, check, prefix
from gpt2.ui.session.limits import Limits

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "app.py", *sorted((ROOT / "gpt2").rglob("*.py"))]
PEM = ROOT / "tests" / "localhost.pem"
HOME = ROOT / "gpt2" / "runtime" / "settings.py"

# By name: what is right, with what it means, and what is wrong.
CASES: dict[str, tuple[dict[str, object], list[str]]] = {
    "GPT2_DEFAULT_SIZE": ({"tiny": "tiny"}, []),
    "GPT2_FRAMED_BY": ({"https://a.example": "https://a.example"}, []),
    "SPACE_ID": ({"owner/name": "owner/name"}, []),
    "GPT2_MODEL": ({"owner/name": "owner/name"}, []),
    "GPT2_PRECISION": ({"int8": "int8", " auto ": "auto"}, ["INT8", "float64"]),
    "GPT2_DEVICE": ({"cuda": "cuda"}, ["gpu", "cuda:0"]),
    "GPT2_CPU_FEATURES": ({"portable": "portable"}, ["avx2"]),
    "XDG_CACHE_HOME": ({"/x": "/x", "x": "", "./x": "", "~/x": ""}, []),
    "GPT2_THREADS": ({"1": 1, "1024": 1024}, ["0", "-1", "1.5", "1025", "9" * 5000, "²", "٣"]),
    "OMP_NUM_THREADS": ({"4,2": 4, "8": 8}, ["all", "0", "100000", "4,", "4,x"]),
    "CPU_CORES": ({"2": 2}, ["many"]),
    "GPT2_RUNNING": ({"8": 8}, ["9", "0"]),
    "GPT2_WAITING": ({"0": 0}, ["-1", "1001"]),
    "GPT2_PER_VISITOR": ({"1": 1}, ["0"]),
    "GPT2_SECONDS": ({"86400": 86400}, ["86401", "1e3"]),
    "GPT2_METRICS": ({"1": True, "Yes": True, "off": False}, ["maybe", "2"]),
    "GPT2_MCP": ({"0": False}, ["maybe"]),
    "GPT2_LOG": ({"TRUE": True, "0": False}, ["json"]),
    "GPT2_RAY_REPLICAS": ({"4": 4}, ["four"]),
    "GRADIO_SERVER_NAME": (
        {"::1": "[::1]", "[::]": "[::]", "0.0.0.0": "0.0.0.0", "my-host.local": "my-host.local"},
        ["http://0.0.0.0", "1.2.3", "::1::", "[1.2.3.4]", "a b", "host:80", "999.1.1.1", "-x"],
    ),
    "GRADIO_SERVER_PORT": ({"7860": 7860}, ["abc", "0", "-1", "99999", "7860.0"]),
    "GRADIO_ROOT_PATH": (
        {"/x": "/x", "/x/": "/x", "/": "", "https://host/x/": "https://host/x"},
        ["x", "/x y", "//host", "ftp://host/x", "/a/../b", "https:///x", "/x?y", '/"><script>'],
    ),
    "FORWARDED_ALLOW_IPS": (
        {"*": "*", "10.0.0.0/8, ::1": "10.0.0.0/8, ::1"},
        ["proxy", "10.0.0.1/8", "1.2.3"],
    ),
    "HF_HOME": (
        {"/x/none": "/x/none", "x": os.path.abspath("x"), "~": os.path.expanduser("~")},
        ["/dev/null", __file__],
    ),
    "HF_ENDPOINT": (
        {"http://127.0.0.1:80": "http://127.0.0.1:80"},
        ["huggingface.co", "https://", "ftp://h", "https://h:port", "//h"],
    ),
    "HF_HUB_ETAG_TIMEOUT": ({"3": 3}, ["soon", "0", "1.5"]),
    "HF_HUB_DOWNLOAD_TIMEOUT": ({"3": 3}, ["never"]),
    "HTTP_PROXY": ({"proxy:3128": "proxy:3128"}, ["ftp://h", "http://h:x", "http://h:99999"]),
    "HTTPS_PROXY": ({"http://u:p@proxy:1": "http://u:p@proxy:1"}, ["socks4://h", "http://"]),
    "ALL_PROXY": ({"https://proxy": "https://proxy"}, ["://"]),
    "NO_PROXY": ({"a, b,": ["a", "b"]}, []),
    "SYSTEM": ({"spaces": "spaces"}, []),
    "SPACES_ZERO_GPU": ({"1": "1"}, []),
    "SSL_CERT_FILE": ({str(PEM): str(PEM)}, ["/none/at/all", str(ROOT), __file__]),
    "SSL_CERT_DIR": ({str(ROOT): str(ROOT)}, ["/none/at/all", __file__]),
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": ({"1": 1}, ["1.5"]),
    "GRADIO_ANALYTICS_MAX_EVENTS": ({"100": 100}, ["many"]),
    "GRADIO_DEBUG": ({"0": 0, "1": 1}, ["True"]),
    "GRADIO_NODE_NUM_PORTS": ({"1": 1}, ["one"]),
    "GRADIO_NUM_PORTS": ({"1": 1}, ["one"]),
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        for name in (setting.name, setting.name.lower()):
            monkeypatch.setenv(name, "")  # and as it was afterwards, whatever the program sets
            monkeypatch.delenv(name)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_each_means_what_it_says_or_is_told_of_in_one_sentence(
    setting: Setting[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    right, wrong = CASES[setting.name]
    assert setting.get() == setting.default
    for text, value in {**right, "": setting.default, "  ": setting.default}.items():
        monkeypatch.setenv(setting.name, text)
        assert setting.get() == value
    for text in wrong:
        monkeypatch.setenv(setting.name, text)
        with pytest.raises(SettingError) as told:
            check(page=True)
        assert str(told.value).startswith(f"{setting.name} must be {setting.must_be}")
        assert str(told.value).endswith(".") and "\n" not in str(told.value)
        assert len(str(told.value)) < 250


def test_all_that_is_wrong_is_told_at_once_and_a_command_is_not_held_up_by_the_page_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRADIO_SERVER_PORT", "many")
    check(page=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    with pytest.raises(SettingError) as told:
        check(page=True)
    names = [line.split()[0] for line in str(told.value).splitlines()]
    assert names == ["OMP_NUM_THREADS", "GRADIO_SERVER_PORT"]
    with pytest.raises(SettingError, match=r"^OMP_NUM_THREADS .*'many'\.$"):
        check(page=False)


def test_a_proxy_s_password_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "gopher://me:secret@proxy")
    with pytest.raises(SettingError, match="HTTPS_PROXY must be an address") as told:
        check(page=False)
    assert "secret" not in str(told.value)


def test_agents_without_their_package_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT2_MCP", "1")
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"^GPT2_MCP must be 0, .* \(pip install 'mcp>=1"):
        check(page=True)
    monkeypatch.setattr(settings, "find_spec", lambda name: object())
    assert settings.MCP.get()


def test_a_socks_proxy_without_its_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"ALL_PROXY .* \(pip install socksio\)\.$"):
        check(page=False)
    monkeypatch.setattr(settings, "find_spec", lambda name: object())
    check(page=False)


@pytest.mark.parametrize(
    "listed",
    [
        "", "*", "[::1]", "[::1]:80", "fd00::/8", "10.0.0.0/8,.corp", "ü.de", "127.0.0.1:x",
        "a,,b", "http://x", "fe80::1%eth0", "localhost:80", "-", "[", "*.corp", ":80", "\\", "%",
    ],
)  # fmt: skip
def test_the_own_address_goes_round_proxies_and_httpx_can_read_what_is_left(
    listed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", listed)
    settings.go_round_proxies("page.example")
    with httpx.Client() as client:
        proxied = client._transport_for_url(httpx.URL("http://elsewhere.example/"))
        for own in ("localhost:7860", "127.0.0.1:7860", "[::1]:7860", "page.example"):
            assert client._transport_for_url(httpx.URL(f"http://{own}/")) is client._transport
    assert (proxied is client._transport) == (listed == "*")


def test_the_libraries_see_only_places_that_stay_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative cache would be another one in every folder the program is started from."""
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    monkeypatch.setenv("HF_HOME", "~/hub")
    settings.prepare(page=False)
    assert "XDG_CACHE_HOME" not in os.environ
    assert os.environ["HF_HOME"] == os.path.expanduser("~/hub")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    settings.prepare(page=False)
    assert os.environ["XDG_CACHE_HOME"] == "/caches"


def test_what_is_empty_is_not_there_for_the_libraries_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`GRADIO_SERVER_PORT=` in a file of settings; Gradio and the hub's client would take it."""
    for setting in SETTINGS:
        monkeypatch.setenv(setting.name, "  ")
    monkeypatch.setenv("HF_ENDPOINT", " http://hub ")
    settings.prepare(page=True)
    names = {setting.name for setting in SETTINGS}
    left = {name: value for name, value in os.environ.items() if name in names}
    own = "localhost,127.0.0.1,::1"
    assert left == {
        "HF_ENDPOINT": "http://hub", "GRADIO_ANALYTICS_MAX_EVENTS": "100", "NO_PROXY": own,
    }  # fmt: skip


def test_a_space_s_proxy_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM", "spaces")
    settings.prepare(page=True)
    assert settings.FORWARDED_ALLOW_IPS.get() == "*"
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.0/8")
    settings.prepare(page=True)
    assert settings.FORWARDED_ALLOW_IPS.get() == "10.0.0.0/8"


def test_the_prefix_is_the_path_of_either_form(monkeypatch: pytest.MonkeyPatch) -> None:
    assert prefix() == ""
    for text, path in (("/x/y/", "/x/y"), ("https://host:8/x", "/x"), ("https://host", "")):
        monkeypatch.setenv("GRADIO_ROOT_PATH", text)
        assert prefix() == path


def test_what_settings_repeats_of_higher_rooms_is_what_these_say() -> None:
    assert Limits.from_environment() == Limits()
    with pytest.raises(ValueError):
        settings.RUNNING.parse(str(SLOTS + 1))
    assert settings.RUNNING.parse(str(SLOTS)) == SLOTS
    assert all(settings.PRECISION.parse(name) == name for name in [AUTO, *ALL_PRECISIONS])


def test_nothing_else_reads_the_environment() -> None:
    for file in SOURCES:
        if file == HOME:
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            name = getattr(node, "attr", None) or getattr(node, "id", None)
            if isinstance(node, ast.alias):
                name = node.name
            assert name not in ("environ", "environb", "getenv", "getenvb", "putenv"), file


def table() -> list[str]:
    """The rows of VARIABLES.md, as the settings would write them."""

    def default(setting: Setting[object]) -> str:
        value = setting.default
        return "" if value in (None, "", False, []) else f"`{value}`"

    head = ["| variable | must be | unless set | what it does |", "|---|---|---|---|"]
    return head + [
        f"| `{s.name}` | {s.must_be} | {default(s)} | {s.does} |".replace("|  |", "| |")
        for s in SETTINGS
    ]


def test_the_table_has_each_as_it_is() -> None:
    text = (HOME.parent / "VARIABLES.md").read_text("utf-8")
    assert [line for line in text.splitlines() if line.startswith("|")] == table()


def test_every_variable_that_the_sources_name_is_in_the_table() -> None:
    known = {setting.name for setting in SETTINGS}
    others = {"GPT2_VOCAB_SIZE"}  # a constant
    for file in SOURCES:
        named = set(re.findall(r"\b(?:GPT2|GRADIO_SERVER|GRADIO_ROOT)_[A-Z_]+\b", file.read_text()))
        assert named <= known | others, file


def test_a_wrong_variable_is_told_before_pytorch_reads_it() -> None:
    for command in (["app.py"], ["-m", "gpt2", "generate", "Once"]):
        for name in ("OMP_NUM_THREADS", "GPT2_THREADS"):
            told = subprocess.run(
                [sys.executable, *command],
                cwd=ROOT, env={name: "1000000", "PATH": ""}, capture_output=True, text=True,
            )  # fmt: skip
            assert (told.returncode, told.stdout) == (2, "")
            assert told.stderr.startswith(f"error: {name} must be a whole number from 1 to 1,024")
            assert told.stderr.count("\n") == 1  # and nothing of OpenMP's


if __name__ == "__main__":
    print("\n".join(table()))

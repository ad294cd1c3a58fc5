"""Every environment variable that this program reads: its type, what it must be, what it does.

Nothing else looks into `os.environ`. `check` tells of all that is wrong before anything heavy is
imported, one sentence each; VARIABLES.md here holds the table, and a test that the two agree.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Generic, TypeVar
from urllib.parse import SplitResult, urlsplit

T = TypeVar("T")


MOST_THREADS = 1024  # a hundred thousand end in a segmentation fault of OpenMP's
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


class SettingError(ValueError):
    """One sentence a variable: which it is, and what it must be."""


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One variable. An empty one counts as not set, and then means `default`.

    `parse` raises ValueError for a text that it cannot be. `page` says that only the page reads it,
    `proxy` that libraries look for the name in small letters first, and that the value may hold a
    password and is not repeated.
    """

    name: str
    must_be: str
    does: str
    default: T
    parse: Callable[[str], T]
    page: bool = False
    proxy: bool = False

    def get(self) -> T:
        """The value now. Raises SettingError."""
        text = self.text()
        if not text:
            return self.default
        try:
            return self.parse(text)
        except ValueError as error:
            # A parser that knows better than `must_be` what is wrong says so.
            must_be = str(error) if isinstance(error, SettingError) else self.must_be
            was = "" if self.proxy else f", not {_shown(text)}"
            raise SettingError(f"{self.name} must be {must_be}{was}.") from None

    def text(self) -> str:
        """What stands there, without space around it."""
        small = os.environ.get(self.name.lower(), "").strip() if self.proxy else ""
        return small or os.environ.get(self.name, "").strip()

    def is_set(self) -> bool:
        """Whether anything stands there."""
        return bool(self.text())


def check(page: bool) -> None:
    """Raises SettingError with a line for each variable that is wrong.

    What only the page reads is looked at for the `page` alone.
    """
    wrong = []
    for setting in SETTINGS:
        if page or not setting.page:
            try:
                setting.get()
            except SettingError as error:
                wrong.append(str(error))
    if wrong:
        raise SettingError("\n".join(wrong))


def prepare(page: bool) -> None:
    """Set what the libraries read when they are imported; to be called after `check`, before that.

    Changes the environment of this process and of those it starts.
    """
    for setting in SETTINGS:
        for name in (setting.name, setting.name.lower()) if setting.proxy else (setting.name,):
            # To libraries an empty variable is set, and is no number.
            if text := os.environ.pop(name, "").strip():
                os.environ[name] = text
    if not XDG_CACHE_HOME.get():  # nor may the hub's client make a cache of a relative one
        os.environ.pop(XDG_CACHE_HOME.name, None)
    if home := HF_HOME.get():  # wherever a process that is started begins
        os.environ[HF_HOME.name] = home
    if not page:
        go_round_proxies()
        return
    # Gradio would look up its own servers at start.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    # It keeps a record of so many requests for a page of figures that is closed here; by itself
    # 10,000.
    os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")
    # A Space is reached through the platform's proxy alone: believe it who is asking.
    if SYSTEM.text() == "spaces":
        set_default(FORWARDED_ALLOW_IPS, "*")
    go_round_proxies(SERVER_NAME.get().strip("[]"))


def go_round_proxies(*hosts: str) -> None:
    """Reach `hosts` and this computer directly, whatever proxy the network has.

    Gradio asks its own address at the start whether it is there. What httpx cannot read in NO_PROXY
    (networks and brackets of IPv6) would end the program; networks it never matches anyway.
    """
    listed = NO_PROXY.get()
    if "*" not in listed:
        own = ["localhost", "127.0.0.1", "::1", *hosts]
        listed = list(dict.fromkeys([*filter(None, map(_readable, listed)), *own]))
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(listed)


def set_default(setting: Setting[str], value: str) -> None:
    """Where nothing is set, this process and those it starts find `value` from now on."""
    if not setting.is_set():
        os.environ[setting.name] = value


def child_environment(**changes: str) -> dict[str, str]:
    """The environment for a process that is to be started, with these changes."""
    return {**os.environ, **changes}


def tell_library(name: str, value: str) -> None:
    """Set a variable that a library reads when it is imported."""
    os.environ[name] = value


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _readable(host: str) -> str:
    """An entry of NO_PROXY as httpx can read it; empty for one that it cannot."""
    bare = re.sub(r"^\[([^]]*)\](:\d+)?$", r"\1", host)
    try:
        return "" if ipaddress.ip_network(bare, strict=False).version == 6 and "/" in bare else bare
    except ValueError:
        name, _, port = bare.partition(":")
        return bare if bare.isascii() and (not port or port.isdecimal()) else name * bare.isascii()


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        # `isdecimal` takes the digits of every script; a thousand of them are no number either.
        if not (text.isascii() and text.isdecimal() and len(text) <= 12):
            raise ValueError
        if not least <= int(text) <= most:
            raise ValueError
        return int(text)

    return parse


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError
        return text

    return parse


def _yes_or_no(text: str) -> bool:
    small = text.lower()
    if small not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError
    return small in ("1", "true", "yes", "on")


def _mcp(text: str) -> bool:
    if _yes_or_no(text) and find_spec("mcp") is None:
        raise SettingError(
            "0, since agents need a package that is not installed (pip install 'mcp>=1.21,<2')"
        )
    return _yes_or_no(text)


def _openmp(text: str) -> int:
    """OpenMP allows a number for each level of nesting: `4,2`. The first is ours."""
    first, *_ = [_whole(1, MOST_THREADS)(level.strip()) for level in text.split(",")]
    return first


def _host(text: str) -> str:
    """A name or an address; IPv6 comes back in brackets, as it stands in a URL."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" in bare or text != bare:
        return f"[{ipaddress.IPv6Address(bare)}]"
    if re.fullmatch(r"[\d.]+", bare):
        return str(ipaddress.IPv4Address(bare))
    if not re.fullmatch(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?", bare):
        raise ValueError
    return bare


def _root_path(text: str) -> str:
    """Without a slash at its end: `/x`, `https://host/x`, or nothing for `/`."""
    path = _address(text, "http", "https").path if "://" in text else text
    if path and not re.fullmatch(r"/[\w.~/-]*", path, re.ASCII):
        raise ValueError
    if {".", ".."} & set(path.split("/")) or "//" in path:
        raise ValueError
    return text.rstrip("/")


def prefix() -> str:
    """The path of GRADIO_ROOT_PATH: `/x`, also for `https://host/x`; empty without one."""
    return urlsplit(ROOT_PATH.get()).path


def _endpoint(text: str) -> str:
    _address(text, "http", "https")
    return text


def _proxy(text: str) -> str:
    address = _address(text if "://" in text else f"http://{text}", *_PROXY_SCHEMES)
    if address.scheme.startswith("socks") and find_spec("socksio") is None:
        raise SettingError(
            "an http:// proxy, since SOCKS needs a package that is not installed "
            "(pip install socksio)"
        )
    return text


def _address(text: str, *schemes: str) -> SplitResult:
    parts = urlsplit(text)
    if parts.scheme not in schemes or not parts.hostname or re.search(r"\s", text):
        raise ValueError
    _ = parts.port  # raises ValueError for one that is none
    return parts


def _certificates(text: str) -> str:
    try:
        ssl.create_default_context(cafile=text)
        return text
    except OSError:  # of which ssl's errors are a kind
        raise ValueError from None


def _base_folder(text: str) -> str:
    """The XDG Base Directory Specification: a relative path is invalid, and to be ignored."""
    return text if os.path.isabs(text) else ""


def _place(text: str) -> str:
    """A folder, or what may become one; from the root on, as the hub's client understands it."""
    path = os.path.abspath(os.path.expandvars(os.path.expanduser(text)))
    if os.path.lexists(path) and not os.path.isdir(path):
        raise ValueError
    return path


def _folder(text: str) -> str:
    if not os.path.isdir(text):
        raise ValueError
    return text


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _trusted(text: str) -> str:
    for part in _listed(text):
        if part != "*":
            ipaddress.ip_network(part)
    return text


_THREADS = f"a whole number from 1 to {MOST_THREADS:,}"
_ADDRESS = "a web address that begins with http:// or https://"
_PROXY_ADDRESS = "an address as http://host:port (or https://, socks5://, socks5h://)"
_SWITCH = "1, true, yes or on, or 0, false, no or off"

MODEL = Setting(
    "GPT2_MODEL", "a folder, or owner/name of the hub", "one more model on the page", "", str, True
)
PRECISION = Setting(
    "GPT2_PRECISION",
    "auto, float32, float16, int8 or int4",
    "what the page's models compute in; `auto` is int8 where that pays, int4 is for 355M and up",
    "auto",
    _one_of("auto", "float32", "float16", "int8", "int4"),
    page=True,
)
DEVICE = Setting(
    "GPT2_DEVICE",
    "cpu or cuda",
    "where models compute; by itself a GPU where there is one",
    "",
    _one_of("cpu", "cuda"),
)
CPU_FEATURES = Setting(
    "GPT2_CPU_FEATURES",
    "portable",
    "compiles for any processor of this kind, to compare; by itself for this very one",
    "",
    _one_of("portable"),
)
THREADS = Setting(
    "GPT2_THREADS",
    _THREADS,
    "threads that compute; by itself the CPUs this process may use",
    None,
    _whole(1, MOST_THREADS),
)
OMP_NUM_THREADS = Setting(
    "OMP_NUM_THREADS",
    f"{_THREADS}, or several with commas between",
    "the same, where GPT2_THREADS is not set; OpenMP's own variable",
    None,
    _openmp,
)
CPU_CORES = Setting(
    "CPU_CORES",
    _THREADS,
    "the same, where neither is set; a Space's own variable",
    None,
    _whole(1, MOST_THREADS),
)
RUNNING = Setting(
    "GPT2_RUNNING", "a whole number from 1 to 8", "texts written at once", 8, _whole(1, 8), True
)
WAITING = Setting(
    "GPT2_WAITING",
    "a whole number from 0 to 1,000",
    "texts that may wait for their turn",
    32,
    _whole(0, 1000),
    page=True,
)
PER_VISITOR = Setting(
    "GPT2_PER_VISITOR",
    "a whole number from 1 to 1,000",
    "texts of one visitor, waiting or being written",
    4,
    _whole(1, 1000),
    page=True,
)
SECONDS = Setting(
    "GPT2_SECONDS",
    "a whole number from 1 to 86,400",
    "seconds that one text may be written for",
    900,
    _whole(1, 86_400),
    page=True,
)
DEFAULT_SIZE = Setting(
    "GPT2_DEFAULT_SIZE", "a size that the page offers", "the size a page begins with", "", str, True
)
FRAMED_BY = Setting(
    "GPT2_FRAMED_BY",
    "origins like https://school.example, between spaces, or *",
    "pages of other origins that may show this one in a frame",
    "",
    str,
    True,
)
METRICS = Setting(
    "GPT2_METRICS", _SWITCH, "opens /metrics, to anybody, for Prometheus", False, _yes_or_no, True
)
MCP = Setting(
    "GPT2_MCP",
    _SWITCH,
    "opens /gradio_api/mcp/, where agents find the calls for scripts as tools",
    False,
    _mcp,
    page=True,
)
LOG = Setting("GPT2_LOG", _SWITCH, "logs one JSON line a run", False, _yes_or_no, True)
RAY_REPLICAS = Setting(
    "GPT2_RAY_REPLICAS",
    "a whole number from 1 to 1,000",
    "with `--engine ray`: copies of one model at most",
    4,
    _whole(1, 1000),
    page=True,
)
SERVER_NAME = Setting(
    "GRADIO_SERVER_NAME",
    "a host name or an address, as 0.0.0.0 or ::1",
    "where the page listens",
    "127.0.0.1",
    _host,
    page=True,
)
SERVER_PORT = Setting(
    "GRADIO_SERVER_PORT",
    "a whole number from 1 to 65,535",
    "on which port; by itself the first free one from 7860",
    None,
    _whole(1, 65_535),
    page=True,
)
ROOT_PATH = Setting(
    "GRADIO_ROOT_PATH",
    "a path as /gpt2, or the whole address as https://host/gpt2",
    "below which path a proxy shows the page",
    "",
    _root_path,
    page=True,
)
FORWARDED_ALLOW_IPS = Setting(
    "FORWARDED_ALLOW_IPS",
    "*, or addresses and networks with commas between",
    "whose word about a visitor's address is taken: that of the proxy in front",
    "127.0.0.1",
    _trusted,
    page=True,
)
XDG_CACHE_HOME = Setting(
    "XDG_CACHE_HOME",
    "a folder, from the root on (another is ignored)",
    "where compiled code is kept; by itself .cache in the home folder",
    "",
    _base_folder,
)
HF_HOME = Setting(
    "HF_HOME",
    "a folder, which may be made",
    "where downloads are kept; by itself huggingface in the folder above",
    "",
    _place,
)
HF_ENDPOINT = Setting(
    "HF_ENDPOINT", _ADDRESS, "another hub to download from", "https://huggingface.co", _endpoint
)
HF_HUB_ETAG_TIMEOUT = Setting(
    "HF_HUB_ETAG_TIMEOUT",
    "a whole number from 1 to 86,400",
    "seconds that the hub may take to answer a question",
    10,
    _whole(1, 86_400),
)
HF_HUB_DOWNLOAD_TIMEOUT = Setting(
    "HF_HUB_DOWNLOAD_TIMEOUT",
    "a whole number from 1 to 86,400",
    "seconds that a download may stand still",
    10,
    _whole(1, 86_400),
)
HTTP_PROXY = Setting(
    "HTTP_PROXY", _PROXY_ADDRESS, "goes to http:// through it", "", _proxy, proxy=True
)
HTTPS_PROXY = Setting(
    "HTTPS_PROXY", _PROXY_ADDRESS, "goes to https:// through it", "", _proxy, proxy=True
)
ALL_PROXY = Setting("ALL_PROXY", _PROXY_ADDRESS, "goes to both through it", "", _proxy, proxy=True)
NO_PROXY: Setting[list[str]] = Setting(
    "NO_PROXY",
    "host names with commas between",
    "reached directly, as this computer always is",
    [],
    _listed,
    proxy=True,
)
SYSTEM = Setting("SYSTEM", "any word", "`spaces` on a Space", "", str, page=True)
SPACE_ID = Setting(
    "SPACE_ID", "owner/name", "the Space that the page links to as its source", "", str, page=True
)
SPACES_ZERO_GPU = Setting(
    "SPACES_ZERO_GPU", "any word", "1 or true on a Space that lends GPUs", "", str, page=True
)

SSL_CERT_FILE = Setting(
    "SSL_CERT_FILE",
    "a file of certificates (PEM)",
    "whom to believe, instead of what Python brings: a company's own certificates",
    "",
    _certificates,
)
SSL_CERT_DIR = Setting("SSL_CERT_DIR", "a folder", "the same, a folder of them", "", _folder)
# What only Gradio reads, and would take for a number whatever it is.
_COUNT = "a whole number from 0 to 1,000,000"
_NUMBERS_OF_GRADIO = [
    Setting(name, _COUNT, "Gradio reads it", None, _whole(0, 1_000_000), page=True)
    for name in (
        "GRADIO_ANALYTICS_CACHE_FREQUENCY",
        "GRADIO_ANALYTICS_MAX_EVENTS",
        "GRADIO_DEBUG",
        "GRADIO_NODE_NUM_PORTS",
        "GRADIO_NUM_PORTS",
    )
]

SETTINGS: list[Setting[Any]] = [
    *(setting for setting in list(globals().values()) if isinstance(setting, Setting)),
    *_NUMBERS_OF_GRADIO,
]

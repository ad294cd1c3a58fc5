"""The line at the foot of the page: source, model cards, licence; and the texts it links to."""

from __future__ import annotations

from html import escape

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route

from gpt2.runtime.assets_folder import ASSETS
from gpt2.runtime.settings import SPACE_ID

# The name in the address, and the file: beside the assets, or none where only the package is here.
_FILES = {
    "tiny": ASSETS / "tiny" / "README.md",
    "mini": ASSETS / "mini" / "README.md",
    "readme": ASSETS.parent / "README.md",
    "licence": ASSETS.parent / "LICENSE",
}
_HUB = "https://huggingface.co"


def about_line(space: str | None = None) -> str:
    """The line as HTML; `space` is the Space's name, by itself that of the environment."""
    space = space or SPACE_ID.get()
    source = f"{_HUB}/spaces/{space}/tree/main" if space else "about/readme"
    links = [
        ("GPT-2 written from scratch in PyTorch. ", "Source", source),
        (" · Model cards: ", "Tiny", "about/tiny"),
        (", ", "Mini", "about/mini"),
        (", ", "GPT-2 (OpenAI, 2019)", f"{_HUB}/openai-community/gpt2"),
        (" · ", "MIT licence", "about/licence"),
    ]
    return "<p>" + "".join(f"{words}{_link(name, to)}" for words, name, to in links) + "</p>"


def _link(name: str, to: str) -> str:
    return f'<a href="{escape(to)}" target="_blank" rel="noopener noreferrer">{escape(name)}</a>'


def about_routes() -> list[BaseRoute]:
    """The texts under /about/, as plain text."""

    def text(request: Request) -> PlainTextResponse:
        file = _FILES.get(request.path_params["name"])
        if file is None or not file.is_file():
            return PlainTextResponse("Not found", 404)
        return PlainTextResponse(file.read_text(encoding="utf-8"))

    return [Route("/about/{name}", text)]

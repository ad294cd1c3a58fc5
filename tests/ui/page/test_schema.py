"""What the page is made to agree with the server by is what the server says, and what it sends."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from gpt2 import SamplingOptions
from gpt2.interpret.head_roles import NAMED
from gpt2.residency import Residency
from gpt2.ui.compare.columns import Column, described
from gpt2.ui.page.assets import panel_text
from gpt2.ui.page.schema import MADE, MEASURE_WORDS, MODE_WORDS, ROLE_WORDS, _type
from gpt2.ui.session import messages
from gpt2.ui.session.attention_requests import AttentionRequests
from gpt2.ui.session.maps import MODES
from gpt2.ui.session.messages import RoleName, ScoreName
from gpt2.ui.session.playground import Playground, Visitor
from gpt2.ui.session.requests import Request
from gpt2.ui.session.runner import Runner
from tests.small import small_engine
from tests.ui.writing import ended

ENGINE = small_engine()
PLAYGROUND = Playground(Runner(Residency(10**9, lambda *_: ENGINE), 2))
ASKED = AttentionRequests(PLAYGROUND)
VISITOR = Visitor()
REQUEST = Request("The fox was not at home, the fox", "tiny", 12, SamplingOptions(seed=1))
list(PLAYGROUND.generate(REQUEST, VISITOR))
RUN = ended(VISITOR.log)


@pytest.mark.parametrize("name", MADE)
def test_the_files_are_what_the_schema_makes(name: str) -> None:
    assert panel_text(name) == MADE[name](), "python -m gpt2.ui.page.schema"


def test_every_mode_role_and_score_has_its_words() -> None:
    assert tuple(MODE_WORDS) == MODES
    assert tuple(ROLE_WORDS) == NAMED == get_args(RoleName)
    assert (*ROLE_WORDS, *MEASURE_WORDS) == get_args(ScoreName)


def fits(answer: Any, kind: Any) -> None:
    """Raises where a field is missing, of another type, or not declared."""
    TypeAdapter(kind).validate_python(answer, strict=True, extra="forbid")


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        ({"want": "choices", "start": 0}, messages.ChoicesMessage),
        ({"want": "shade"}, messages.ShadeMessage),
        ({"want": "layers", "at": 0}, messages.LayersMessage),
        ({"want": "layers", "at": 5}, messages.LayersMessage),
        ({"want": "off", "at": 5, "off": [[0, 0]]}, messages.OffMessage),
    ],
)
def test_what_the_inspector_is_told_is_what_is_declared(request_: Any, kind: Any) -> None:
    fits(ASKED.inspect({"run": RUN.id, **request_}), kind)


@pytest.mark.parametrize("probe", [False, True])
def test_so_are_roles(probe: bool) -> None:
    fits(ASKED.roles({"run": RUN.id, "probe": probe}), messages.RolesMessage)


def test_so_are_the_facts_and_heads_of_columns() -> None:
    column = Column(REQUEST)
    fits(column.facts, messages.SizeFacts)
    fits(described([column])[0], messages.ColumnMessage)


def test_what_json_does_not_carry_has_no_type() -> None:
    with pytest.raises(TypeError, match="does not travel"):
        _type(bytes)

"""What the inspector works out by itself: parts of a sum, ranks, words, colours."""

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.browser

FOUND = """{ embedding: 1, position: -2, final_bias: 0.5, biases: [0.25, 0.25], rounding: 0,
  heads: [[3, -0.1], [0.2, -4]], mlps: [0.7, -0.9], total: -1.1, true: -1.10004,
  precision: "float32" }"""


def test_every_part_of_the_sum_is_listed_once_the_largest_first(panel: Page) -> None:
    parts = panel.evaluate(f"async () => (await import('/shares_list.js')).partsOf({FOUND})")
    assert [part["value"] for part in parts[:4]] == [-4, 3, -2, 1]
    assert parts[0]["name"] == "layer 2, head 2"
    assert parts[0]["head"] == {"layer": 1, "head": 1}
    assert sum(part["value"] for part in parts) == pytest.approx(-1.1)
    assert len({part["name"] for part in parts}) == len(parts) == 5 + 4 + 2


def test_what_packed_numbers_cost_is_named(panel: Page) -> None:
    said = panel.evaluate(
        f"""async () => {{
          const {{ sumWords }} = await import("/shares_list.js");
          const found = {FOUND};
          return [sumWords(11, found), sumWords(11, {{ ...found, true: -1, precision: "int8" }})];
        }}"""
    )
    minus = "\N{MINUS SIGN}"
    assert said[0] == f"11 parts sum to {minus}1.1000 logits; the model says {minus}1.1000."
    assert said[1].endswith(f"says {minus}1.0000. +0.1000 is what int8 costs in the output head.")


def test_heads_are_ranked_by_size_and_unmeasured_ones_left_out(panel: Page) -> None:
    ranked = panel.evaluate(
        """async () => (await import("/head_sweep.js"))
          .rankedHeads([[0.1, null], [-3, 2]])"""
    )
    assert [(each["layer"], each["head"]) for each in ranked] == [(1, 0), (1, 1), (0, 0)]


@pytest.mark.parametrize(
    ("control", "missing", "words"),
    [
        (0, 0, "changes nothing, exactly."),
        (0, 3, "3 heads were not measured: their cells are hatched."),
        (0.5, 0, "changes 0.5 logits, so do not trust this."),
        (None, 48, "was not measured."),
    ],
)
def test_the_control_is_said_as_it_is(
    panel: Page, control: float | None, missing: int, words: str
) -> None:
    said = panel.evaluate(
        """async ([control, missing]) =>
          (await import("/head_sweep.js")).controlWords(control, missing)""",
        [control, missing],
    )
    assert words in said


def test_words_and_numbers_can_be_read_on_every_colour_of_both_ramps(panel: Page) -> None:
    contrasts = panel.evaluate(
        """async () => {
          const { darkOn, rampColors } = await import("/color.js");
          const linear = (value) =>
            value <= 0.04045 * 255 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
          return ["light", "dark"].flatMap((theme) => rampColors(theme).map(([r, g, b]) => {
            const light = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
            return darkOn(r, g, b) ? (light + 0.05) / 0.05 : 1.05 / (light + 0.05);
          }));
        }"""
    )
    assert len(contrasts) == 512
    assert min(contrasts) >= 4.5


def test_a_question_is_repeated_until_there_is_an_answer_and_dropped_for_another(
    panel: Page,
) -> None:
    told = panel.evaluate(
        """async () => {
          const { Question } = await import("/question.js");
          const asked = [];
          const answers = [{ error: "The server is busy; asking again." }, { done: 1, of: 3 },
            { result: { found: 1 } }];
          const server = { inspect: async (request) => {
            asked.push(request);
            return answers.shift();
          } };
          const runs = { run: { id: "a" }, server };
          const question = new Question(runs);
          const steps = [];
          const answer = await question.ask({ want: "x" }, (done, of) => steps.push([done, of]));
          answers.push({ result: 1 }, { result: 2 });
          const first = question.ask({ want: "y" });
          const second = question.ask({ want: "z" });
          return { answer, steps, asked: asked.length, first: await first, second: await second };
        }"""
    )
    assert told["answer"] == {"result": {"found": 1}}
    assert told["steps"] == [[1, 3]]
    assert told["asked"] == 5
    assert told["first"] is None
    assert told["second"] == {"result": 2}

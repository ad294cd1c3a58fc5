// Tour, lessons and pace at the top of the page; a link may open each (link.js). What they need is
// loaded when it is first asked for.

import { linkLabels, partsOf } from "../gradio/dom.js";
import { linkedGuide } from "../share/link.js";
import { runsOf } from "../store/runs.js";
import { PACES, choosePace, paceOf } from "../text/writing_pace.js";

export function mount(element) {
  const runs = runsOf();
  linkLabels(element);
  const { tour, lessons, pace } = partsOf(element);
  const openTour = async (stop) => (await import("./tour.js")).openTour(runs, stop);
  const openLesson = async (name) => (await import("./lessons.js")).openLessons(runs, name);
  pace.replaceChildren(...Object.entries(PACES).map(([value, text]) => new Option(text, value)));
  const show = () => (pace.value = paceOf(runs));
  tour.addEventListener("click", () => openTour());
  lessons.addEventListener("click", () => openLesson());
  pace.addEventListener("change", () => choosePace(pace.value));
  runs.subscribe((kind) => kind === "guide" && show());
  const follow = (guide = runs.guide) => {
    const wanted = linkedGuide();
    if (Object.hasOwn(PACES, wanted.pace) && wanted.pace !== guide.pace) choosePace(wanted.pace);
    if (wanted.tour && wanted.tour !== guide.tour) openTour(wanted.tour);
    if (wanted.lesson && wanted.lesson !== guide.lesson) openLesson(wanted.lesson);
  };
  addEventListener("hashchange", () => follow());
  show();
  follow({}); // what the page was opened with
}

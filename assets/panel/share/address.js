// The address bar holds the link to what is shown. A text and a chosen tab are steps of the browser's
// history; a map or row that is looked at changes the step one is at. A text's step is taken when it
// begins and gets the text when it ends: whoever goes back meanwhile comes to the text before.

import { forgetText, keepOwn, stored } from "./session_store.js";
import { guideHash, hashOf, linkedGuide, mapHash, parsedLink, treeRead } from "./link.js";
import { BUSY } from "../text/status_line.js";

const SOON = 250; // ms after the last change
const STAYS = 3000; // ms after which a page that was to be left is still there
const TABS = { write: "Generate", compare: "Compare" }; // names in the address, and on the page

const CHANGES = ["status", "tokens", "view", "look", "selection", "rows", "off", "guide"];

let tab = "write";
let leaving = false; // the page is about to be loaded anew: nothing more is written

export function keepAddress(runs) {
  // Texts that were written here, with the controls as they were when that began (what is typed
  // afterwards belongs to the next) and how many tokens there are by now.
  const begun = new Map();
  let led = guideHash(linkedGuide()); // the short address that it came with, or wrote last
  let [timer, writing, step] = [null, 0, { text: "", tab }];
  let taken = false; // the step of the text that is being written
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(write, SOON);
  };
  const write = async () => {
    const { run } = runs;
    if (leaving || !run || runs.running || runs.pacing || BUSY.includes(run.status?.state)) return;
    if (!run.status && !runs.chosen && !runs.pick && tab === "write") {
      const short = guideHash(runs.guide); // nothing is shown that is the reader's own
      if (!location.hash && !short) return;
      if (short || guideHash(linkedGuide()) === location.hash) {
        if (!short && location.hash !== led) return; // it has just come, and is about to be followed
        led = short;
        return history.replaceState(
          history.state,
          "",
          short || location.pathname + location.search,
        );
      }
    }
    writing += 1;
    const turn = writing;
    const hash = await hashOf(runs, tab === "write" ? "" : tab, begun.get(run.id)?.controls);
    if (leaving || turn !== writing || runs.running) return;
    if (hash === location.hash) return keepOwn(hash); // a text that the address has put back
    const text = begun.has(run.id) ? `${run.id} ${run.tokenCount}` : step.text; // else it was put back
    const isStep = (text !== step.text && !taken) || tab !== step.tab;
    taken = false;
    history[isStep ? "pushState" : "replaceState"](history.state, "", hash);
    step = { text, tab };
    keepOwn(hash);
  };
  const note = ({ id, tokenCount: count }) => {
    const known = begun.get(id);
    if (!known || (known.count !== count && !taken))
      begun.set(id, { controls: stored().controls, count });
    else known.count = count;
  };
  const begin = () => {
    note(runs.run);
    if (taken) return;
    taken = true;
    const hash = mapHash(runs);
    history.pushState(history.state, "", hash);
    keepOwn(hash);
  };
  runs.subscribe((kind) => {
    if (runs.running) return begin();
    if (kind === "status" && isWritten(runs.run)) {
      note(runs.run);
      write(); // at once: the reader may go back now
    }
    if (CHANGES.includes(kind) && !runs.hover) soon();
  });
  addEventListener("hashchange", () => goTo(runs));
  // An address that is written while the page is being loaded again is lost, but would be remembered
  // as its own. Nothing comes of it where only a file was saved.
  addEventListener("beforeunload", () => {
    leaving = true;
    setTimeout(() => {
      leaving = false;
      soon();
    }, STAYS);
  });
  watchTabs((chosen) => {
    isOpen(chosen);
    soon();
  });
  runs.guide = linkedGuide(); // until it is opened it stays in the address (learn_bar.js)
  const arrived = parsedLink();
  if (arrived && !runs.chosen && !runs.run) runs.start(arrived);
  runs.branches.expected = treeRead;
  if (arrived?.off) switchOnce(runs, arrived.off);
  if (arrived?.tab) showTab(arrived.tab);
}

// Rather than put back. A busy browser may see nothing of a short text but its end.
function isWritten(run) {
  return (run?.status?.stats?.limit ?? null) !== null;
}

// The heads that a link has switched, once its text is there.
function switchOnce(runs, off) {
  const stop = runs.subscribe((kind) => {
    if (kind !== "off" || !runs.run?.status) return;
    stop();
    runs.switchOff(off);
  });
}

// Back, forward, or a link pasted where the page is open already.
function goTo(runs) {
  const wanted = parsedLink(location.hash);
  if (wanted === null) {
    if (location.hash !== "" || !runs.run?.status) return;
    forgetText(); // back to where nothing was written yet
    return reload();
  }
  const shown = parsedLink(keepOwn());
  if (shown?.text !== wanted.text) return reload();
  keepOwn(location.hash);
  showTab(wanted.tab || "write");
  runs.show(wanted);
  runs.switchOff(wanted.off ?? runs.run?.status?.off ?? []);
}

function reload() {
  leaving = true;
  location.reload();
}

function tabButtons() {
  const found = document.querySelectorAll("#tabs [role=tab]");
  return [.../** @type {NodeListOf<HTMLElement>} */ (found)];
}

// What else depends on the tab, as the words at the top of the page, goes by what stands there.
function isOpen(name) {
  tab = name;
  document.getElementById("top")?.setAttribute("data-tab", name);
}

function showTab(name) {
  isOpen(name in TABS ? name : "write");
  const button = tabButtons().find((one) => one.textContent.trim() === TABS[tab]);
  if (button?.getAttribute("aria-selected") === "false") button.click();
}

function watchTabs(tell) {
  document.getElementById("tabs")?.addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    const words = target.closest?.("[role=tab]")?.textContent.trim();
    const name = Object.keys(TABS).find((one) => TABS[one] === words);
    if (name && name !== tab) tell(name);
  });
}

// Several runs side by side: what became of each case in each of them.
"use strict";

// A case that was skipped says nothing about a difference; one that was not run does.
function differs(words) {
  return new Set(words.filter((word) => word !== "skip")).size > 1;
}

function anyBad(words) {
  return words.some((word) => word && OUTCOMES[outcomeOf(word)].bad);
}

function compareRows(runs) {
  const ids = [...new Set(runs.flatMap((run) => run.cases.map((entry) => entry.id)))].sort();
  const words = runs.map((run) => new Map(run.cases.map((entry) => [entry.id, entry.outcome])));
  return ids.map((id) => ({ id, words: words.map((it) => it.get(id)) }));
}

function compareTable(rows, runs, open) {
  const body = el("tbody");
  const cell = (word, run, id) => el("td", {}, word
    ? el("button", { type: "button", class: "cell", "aria-label": `${id} in ${runs[run].name}: ${shortWord(outcomeOf(word))}`, onclick: () => open(run, id) }, badge(word))
    : el("span", { class: "muted" }, "not run"));
  const row = ({ id, words }) => el("tr", {}, el("th", { scope: "row" }, id), ...words.map((word, run) => cell(word, run, id)));
  const table = el("table", { class: "wide" },
    el("caption", {}, "What became of each case in each run"),
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Case"), ...runs.map((run) => el("th", { scope: "col" }, run.name)))),
    body);
  const wrapper = el("div", {}, el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Comparison" }, table));
  // The button that adds rows stands behind the table, since none may stand between rows.
  let shown = 0;
  const more = el("button", { type: "button", class: "more", onclick: () => grow() });
  const grow = () => {
    body.append(...rows.slice(shown, shown + 200).map(row));
    shown = Math.min(rows.length, shown + 200);
    more.textContent = `Show more of ${numbers.format(rows.length - shown)}`;
    more.hidden = shown === rows.length;
  };
  wrapper.append(more);
  grow();
  return wrapper;
}

function compareSection(section, runs, state, changed, open) {
  const all = compareRows(runs);
  const differing = all.filter((row) => differs(row.words));
  const rows = state.all ? all : all.filter((row) => differs(row.words) || anyBad(row.words));
  const toggle = el("input", { type: "checkbox", id: "all-rows" });
  toggle.checked = state.all;
  toggle.addEventListener("change", () => changed({ all: toggle.checked }));
  section.hidden = false;
  refill(section,
    el("h2", { id: "compare-title" }, "Side by side"),
    el("p", {}, differing.length
      ? `The ${runs.length} runs differ in ${numbers.format(differing.length)} of ${numbers.format(all.length)} cases.`
      : `The ${runs.length} runs differ in none of ${numbers.format(all.length)} cases.`),
    el("p", { class: "toggle" }, toggle, el("label", { for: "all-rows" }, " Show all cases, not only these and those that fail everywhere")),
    rows.length ? compareTable(rows, runs, open) : null);
}

// The page: its verdict, its areas, its filter and its lists.
"use strict";

const SHOWN_OPEN = 5;
const runs = JSON.parse(document.getElementById("data").textContent).runs.map(prepared);
const byId = (id) => document.getElementById(id);
const noState = () => ({ q: "", hide: new Set(), run: 0, all: false, case: null });
let state = noState();

function prepared(run, at) {
  const running = run.told.running.map((id) => ({ id, outcome: run.told.stopped ? "broken" : "crash", reason: "It had begun and not ended when the run was cut off." }));
  const cases = [...run.told.entries, ...running].sort((a, b) => (a.id < b.id ? -1 : Number(a.id > b.id)));
  const search = (entry) => [entry.id, entry.statement, entry.reason, ...(entry.guide || [])].join("\n").toLowerCase();
  cases.forEach((entry) => Object.defineProperty(entry, "search", { value: search(entry) }));
  return { ...run, at, cases };
}

function counts(entries) {
  const count = Object.fromEntries(Object.keys(OUTCOMES).map((word) => [word, 0]));
  for (const entry of entries) count[outcomeOf(entry.outcome)] += 1;
  return count;
}

function areaOf(entry) {
  return entry.id.split("/", 1)[0];
}

function byArea(entries) {
  const areas = new Map();
  for (const entry of entries) {
    if (!areas.has(areaOf(entry))) areas.set(areaOf(entry), []);
    areas.get(areaOf(entry)).push(entry);
  }
  return areas;
}

// Observations are no promises; what was skipped or broke was not judged.
function promises(run) {
  if (run.told.end) return run.told.end.promises;
  const of = (...words) => run.cases.filter((it) => it.level !== "info" && words.includes(it.outcome)).length;
  const kept = of("pass", "unexpected");
  return { kept, judged: kept + of("fail", "known") };
}

function isBad(run) {
  return run.trouble.length > 0 || !run.told.end || run.cases.some((entry) => OUTCOMES[outcomeOf(entry.outcome)].bad);
}

function verdictSentence(run) {
  const { kept, judged } = promises(run);
  const subject = run.told.begin?.subject ?? "rust";
  const who = subject === "rust" ? "this kernel" : `the library ${subject}`;
  const so = judged ? `${who} keeps ${numbers.format(kept)} of ${numbers.format(judged)} promises` : `no promise of ${who} was judged`;
  return `${so[0].toUpperCase()}${so.slice(1)}${run.told.end ? "" : ", as far as the run came"}.`;
}

function bar(count, total) {
  const parts = Object.entries(count).filter(([, number]) => number);
  const text = parts.map(([word, number]) => `${numbers.format(number)} ${shortWord(word)}`).join(", ");
  let x = 0;
  const drawn = parts.map(([word, number]) => {
    const width = (100 * number) / total;
    x += width;
    return svg("rect", { class: word, x: x - width, y: 0, width, height: 10 });
  });
  return svg("svg", { class: "bar", role: "img", "aria-label": text, viewBox: "0 0 100 10", preserveAspectRatio: "none" }, ...drawn);
}

function cutOff(run) {
  if (run.told.end) return null;
  const { running, entries, begin } = run.told;
  const after = `The run was cut off after ${numbers.format(entries.length)} of ${numbers.format(begin?.cases ?? entries.length)} cases. `;
  const names = running.flatMap((id, at) => [at ? ", " : "", el("code", {}, id)]);
  return el("p", { class: "alert" }, el("strong", {}, "Cut off. "), after, ...(names.length ? ["Running by then: ", ...names, "."] : ["No case was running by then."]));
}

function verdictCard(run, heading) {
  const { begin, end, garbled } = run.told;
  const count = counts(run.cases);
  const bad = isBad(run);
  const facts = el("dl", { class: "facts inline" });
  if (begin) facts.append(...[["Kernel", `${begin.release} (${begin.machine})`], ["User", run.user], ["Seed", run.seed], ["Suite", begin.version]].map(([name, value]) => el("div", {}, ...fact(name, value))));
  if (end) facts.append(el("div", {}, ...fact("Took", duration(end.ms))));
  return el("div", { class: `verdict ${bad ? "bad" : "good"}` },
    runs.length > 1 ? el("p", { class: "run-name" }, run.name) : null,
    el(heading, { class: "sentence" }, el("span", { class: "sign", "aria-hidden": "true" }, bad ? OUTCOMES.fail.symbol : OUTCOMES.pass.symbol), ` ${verdictSentence(run)}`),
    facts,
    cutOff(run),
    ...run.trouble.map((text) => el("p", { class: "alert" }, el("strong", {}, "Trouble. "), text)),
    garbled ? el("p", { class: "alert" }, `${numbers.format(garbled)} lines of what it told could not be read.`) : null,
    run.cases.length ? bar(count, run.cases.length) : null,
    el("p", { class: "totals" }, ...Object.entries(count).filter(([, number]) => number).map(([word, number]) =>
      el("span", {}, el("b", {}, numbers.format(number)), " ", badge(word)))));
}

function showVerdict() {
  if (runs.length === 1) {
    refill(byId("verdict"), verdictCard(runs[0], "h1"));
    return;
  }
  refill(byId("verdict"), el("h1", {}, document.title), el("div", { class: "cards" }, ...runs.map((run) => verdictCard(run, "h2"))));
}

function showFailures(run) {
  const order = Object.keys(OUTCOMES);
  const bad = run.cases.filter((entry) => OUTCOMES[outcomeOf(entry.outcome)].bad);
  bad.sort((a, b) => order.indexOf(outcomeOf(a.outcome)) - order.indexOf(outcomeOf(b.outcome)));
  const section = byId("failures");
  section.hidden = bad.length === 0;
  refill(section, el("h2", { id: "failures-title" }, `What to look at${runs.length > 1 ? ` in ${run.name}` : ""} (${numbers.format(bad.length)})`));
  growing(section, bad, 50, (entry, at) => caseItem(entry, run, at < SHOWN_OPEN));
}

function showAreas(run) {
  const areas = byArea(run.cases);
  const total = counts(run.cases);
  const words = Object.keys(OUTCOMES).filter((word) => total[word]).reverse();
  const number = (value) => el("td", { class: value ? "number" : "number muted" }, value ? numbers.format(value) : "\u2013");
  const row = (area, entries) => {
    const count = counts(entries);
    const choose = el("button", { type: "button", class: "link", onclick: () => { change({ q: `${area}/`, case: null }); byId("cases").scrollIntoView(); } }, area);
    return el("tr", {}, el("th", { scope: "row" }, choose), el("td", { class: "bars" }, bar(count, entries.length)), ...words.map((word) => number(count[word])));
  };
  const head = (word) => el("th", { scope: "col", class: "number" }, el("span", { class: `badge ${word}` }, el("span", { "aria-hidden": "true" }, OUTCOMES[word].symbol), el("span", { class: "word" }, ` ${shortWord(word)}`)));
  const section = byId("areas");
  section.hidden = areas.size === 0;
  refill(section, el("h2", { id: "areas-title" }, "Areas"),
    el("div", { class: "scroll" }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Area"), el("th", { scope: "col", class: "bars" }, "Share"), ...words.map(head))),
      el("tbody", {}, ...[...areas].map(([area, entries]) => row(area, entries))),
      el("tfoot", {}, el("tr", {}, el("th", { scope: "row" }, "all"), el("td", { class: "bars" }), ...words.map((word) => number(total[word])))))));
}

function showOutcomes(run) {
  const chip = ([word, number]) => el("button", {
    type: "button", class: `chip ${word}`, "aria-pressed": String(!state.hide.has(word)), "data-outcome": word,
    onclick: () => {
      const hide = new Set(state.hide);
      if (!hide.delete(word)) hide.add(word);
      change({ hide });
      byId("outcomes").querySelector(`[data-outcome="${word}"]`).focus();
    },
  }, el("span", { "aria-hidden": "true" }, OUTCOMES[word].symbol), ` ${shortWord(word)} `, el("b", {}, numbers.format(number)));
  refill(byId("outcomes"), ...Object.entries(counts(run.cases)).filter(([, number]) => number).map(chip));
}

function showList(run) {
  const needle = state.q.trim().toLowerCase();
  const wanted = run.cases.filter((entry) => !state.hide.has(outcomeOf(entry.outcome)) && entry.search.includes(needle));
  byId("count").textContent = wanted.length === run.cases.length ? `${numbers.format(wanted.length)} cases`
    : `${numbers.format(wanted.length)} of ${numbers.format(run.cases.length)} cases`;
  const group = ([area, entries]) => {
    const content = el("div", { class: "group" });
    const details = el("details", { class: "area" }, el("summary", {}, el("span", { class: "id" }, area), ` ${numbers.format(entries.length)} `, bar(counts(entries), entries.length)), content);
    const render = () => {
      if (details.open && !content.hasChildNodes()) growing(content, entries, 200, (entry) => caseItem(entry, run, entry.id === state.case));
    };
    details.addEventListener("toggle", render);
    details.open = needle !== "" || entries.some((entry) => entry.id === state.case);
    render();
    return details;
  };
  refill(byId("list"), ...[...byArea(wanted)].map(group));
}

function showRuns() {
  if (runs.length < 2) return;
  compareSection(byId("compare"), runs, state, change, (run, id) => {
    change({ run, case: id, q: id, hide: new Set() });
    showChosen();
  });
  const choice = el("select", { id: "run", onchange: (event) => change({ run: Number(event.target.value), case: null }) },
    ...runs.map((run, at) => el("option", { value: at, selected: at === state.run }, run.name)));
  byId("compare").append(el("p", { class: "toggle" }, el("label", { for: "run" }, "Below is what became of the cases of "), choice));
}

// What is chosen stands in the address, so that it can be sent to somebody.
function hash() {
  const parts = new URLSearchParams();
  if (state.q) parts.set("q", state.q);
  if (state.hide.size) parts.set("hide", [...state.hide].join(","));
  if (runs.length > 1) parts.set("run", state.run);
  if (state.all) parts.set("all", "1");
  if (state.case) parts.set("case", state.case);
  return parts.toString();
}

function readHash() {
  const parts = new URLSearchParams(location.hash.slice(1));
  // Of several runs, one that has something to look at comes first.
  const first = Math.max(0, runs.findIndex(isBad));
  const run = parts.has("run") ? Number(parts.get("run")) : first;
  return {
    q: parts.get("q") || "", all: parts.has("all"), case: parts.get("case"), run: runs[run] ? run : first,
    hide: new Set((parts.get("hide") || "").split(",").filter((word) => OUTCOMES[word])),
  };
}

function change(part) {
  const before = state;
  state = { ...state, ...part };
  history.replaceState(null, "", `#${hash()}`);
  show(before);
}

function show(before) {
  const run = runs[state.run];
  if (!before || before.all !== state.all || before.run !== state.run) showRuns();
  if (!before || before.run !== state.run) {
    showFailures(run);
    showAreas(run);
  }
  if (byId("text").value !== state.q) byId("text").value = state.q;
  showOutcomes(run);
  showList(run);
  byId("cases").hidden = false;
}

// Somebody has asked for one case, by a link or in the table.
function showChosen() {
  const chosen = state.case && byId("list").querySelector("details.case[open]");
  if (!chosen) return;
  chosen.querySelector("summary").focus({ preventScroll: true });
  // The pictures above it get their sizes first.
  const scroll = (frames) => (frames ? requestAnimationFrame(() => scroll(frames - 1)) : chosen.scrollIntoView());
  scroll(4);
}

function start() {
  showVerdict();
  byId("footer").append(el("p", {}, "Everything on this page is in this one file; it loads nothing from elsewhere."));
  if (runs.length === 0) return;
  byId("filter").addEventListener("submit", (event) => event.preventDefault());
  // A list of thousands is not made anew for each letter.
  let waiting;
  byId("text").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => change({ q: event.target.value, case: null }), 80);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
      event.preventDefault();
      byId("text").focus();
    }
    if (event.key === "Escape" && event.target === byId("text")) change({ q: "", case: null });
  });
  // Links within the page are no state.
  addEventListener("hashchange", () => {
    if (byId(location.hash.slice(1))) return;
    const before = state;
    state = readHash();
    show(before);
    showChosen();
  });
  state = readHash();
  show(null);
  showChosen();
}

start();

// One case: a line that says what became of it, and all there is to know below it.
"use strict";

// In the order in which a reader wants them. A colour is never the only sign: each has a symbol and a word.
const OUTCOMES = {
  fail: { symbol: "\u2717", word: "failed", bad: true },
  crash: { symbol: "\u2020", word: "running when the run was cut off", short: "cut off", bad: true },
  broken: { symbol: "!", word: "undecided because the harness broke", short: "broken", bad: true },
  unexpected: { symbol: "+", word: "kept, though expected to fail", short: "unexpected" },
  known: { symbol: "~", word: "failed, as expected", short: "known" },
  info: { symbol: "i", word: "observed, and not as usual", short: "info" },
  skip: { symbol: "\u2013", word: "skipped" },
  pass: { symbol: "\u2713", word: "passed" },
};

// A later version may know words that this page does not: they say that nothing was learned.
function outcomeOf(word) {
  return OUTCOMES[word] ? word : "broken";
}

function shortWord(word) {
  return OUTCOMES[word].short || OUTCOMES[word].word;
}

function badge(word) {
  const known = outcomeOf(word);
  return el("span", { class: `badge ${known}` },
    el("span", { "aria-hidden": "true" }, OUTCOMES[known].symbol), ` ${known === word ? shortWord(word) : word}`);
}

function duration(ms) {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60000)} min ${Math.floor((ms % 60000) / 1000)} s`;
}

function fact(name, ...value) {
  return [el("dt", {}, name), el("dd", {}, ...value)];
}

// Lines that the other side does not have stand out, where there are several to look through.
function side(name, own, other) {
  const lines = own.split("\n");
  const others = new Set(other.split("\n"));
  const compared = lines.length > 1 && others.size > 1;
  const shown = lines.map((line) => el("span", { class: compared && !others.has(line) ? "line differs" : "line" }, `${line}\n`));
  return el("div", { class: "side" }, el("h4", {}, name), el("pre", { tabindex: "0", "aria-label": name }, ...shown));
}

function copyButton(text) {
  const button = el("button", { type: "button", class: "copy" }, "Copy");
  const said = (word) => {
    button.textContent = word;
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
  button.addEventListener("click", () => {
    const select = () => {
      // A file has no clipboard in some browsers: what is selected can be copied by hand.
      getSelection().selectAllChildren(button.parentElement.querySelector("code"));
      said("Selected");
    };
    if (!navigator.clipboard) select();
    else navigator.clipboard.writeText(text).then(() => said("Copied"), select);
  });
  return button;
}

// Each part is encoded, so that a folder can be no other kind of link than one to a file.
function link(folder, file) {
  const parts = folder.split("/").map(encodeURIComponent);
  return [...parts, encodeURIComponent(file)].join("/");
}

function traceFigure(excerpt, entry) {
  const items = parseTrace(excerpt.lines);
  const total = excerpt.before + excerpt.lines.length + excerpt.after;
  const part = total === excerpt.lines.length ? `${total} lines`
    : `lines ${excerpt.before + 1} to ${excerpt.before + excerpt.lines.length} of ${total}`;
  const figure = el("section", { class: "trace" }, el("h4", {}, `On the wire at host ${excerpt.host}, ${part}`));
  const ladder = el("figure", {});
  const plot = el("figure", {});
  const pictures = el("div", { class: "pictures" }, ladder, plot);
  // Letters keep their size on a narrow screen: the pictures are drawn for the room there is, not scaled into it.
  let drawn = 0;
  const draw = () => {
    const width = Math.max(240, Math.floor(ladder.clientWidth));
    if (!ladder.clientWidth || width === drawn) return;
    drawn = width;
    ladder.replaceChildren(drawLadder(excerpt, items, width));
    const sequence = drawPlot(excerpt, items, width);
    refill(plot, sequence && sequence.drawn, el("figcaption", {}, sequence ? sequence.caption : "No data are in this excerpt: there is nothing to plot."));
  };
  // Not at once: what is drawn changes the very size that is observed.
  new ResizeObserver(() => requestAnimationFrame(draw)).observe(pictures);
  figure.append(pictures,
    el("details", {}, el("summary", {}, "The trace as text"), el("pre", { tabindex: "0", "aria-label": "Trace" }, excerpt.lines.join("\n"))));
  if (entry.folder) {
    const file = `${excerpt.host}.pcapng`;
    figure.append(el("p", {}, el("a", { href: link(entry.folder, file) }, `${entry.folder}/${file}`), " has every packet."));
  }
  return figure;
}

function caseBody(entry, run) {
  const body = el("div", { class: "body" });
  if (entry.statement) body.append(el("p", { class: "promise" }, entry.statement));
  const facts = el("dl", { class: "facts" });
  if (entry.reason) facts.append(...fact(entry.outcome === "skip" || entry.outcome === "broken" ? "Reason" : "About", entry.reason));
  if (entry.expectation) facts.append(...fact("Expected to fail", entry.expectation));
  if (entry.level) facts.append(...fact("Level", entry.level));
  if (entry.guide?.length) facts.append(...fact("Facts", entry.guide.join(", ")));
  if (entry.ms !== undefined) facts.append(...fact("Took", duration(entry.ms)));
  for (const note of entry.notes || []) facts.append(...fact(note.name, note.value));
  body.append(facts);
  if (typeof entry.expected === "string" && typeof entry.actual === "string") {
    body.append(el("div", { class: "sides" }, side("Expected", entry.expected, entry.actual), side("Actual", entry.actual, entry.expected)));
  }
  for (const excerpt of entry.traces || []) body.append(traceFigure(excerpt, entry));
  const command = run.reproduce.replaceAll("{id}", () => entry.id);
  body.append(el("h4", {}, "Run it again"), el("div", { class: "command" }, el("code", { tabindex: "0" }, command), copyButton(command)),
    el("p", {}, el("a", { class: "permanent", href: `#${new URLSearchParams({ run: run.at, q: entry.id, case: entry.id })}` }, "Link to this case")));
  return body;
}

function caseItem(entry, run, open) {
  const details = el("details", { class: "case", "data-id": entry.id, open },
    el("summary", {}, badge(entry.outcome), " ", el("span", { class: "id" }, entry.id),
      entry.ms === undefined ? null : el("span", { class: "ms" }, ` ${duration(entry.ms)}`)));
  // What nobody opens is not made: a run has thousands of cases.
  const render = () => {
    if (details.open && !details.querySelector(".body")) details.append(caseBody(entry, run));
  };
  details.addEventListener("toggle", render);
  render();
  return details;
}

// A list that grows on demand.
function growing(parent, entries, size, make) {
  let shown = 0;
  const more = el("button", { type: "button", class: "more", onclick: () => grow() });
  const grow = () => {
    const next = entries.slice(shown, shown + size).map((entry, at) => make(entry, shown + at));
    shown += next.length;
    more.before(...next);
    const left = entries.length - shown;
    more.textContent = `Show ${numbers.format(Math.min(left, size))} more of ${numbers.format(left)}`;
    more.hidden = left === 0;
  };
  parent.append(more);
  grow();
}

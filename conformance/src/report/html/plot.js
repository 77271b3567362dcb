// The time-sequence plot of a connection: for each direction what was sent, what was acknowledged, and how far the
// receiver's window reached.
"use strict";

const PLOT = { left: 64, right: 12, top: 48, panel: 170, between: 34, bottom: 22, line: 14 };

const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });

// A pause takes seconds and a burst microseconds: in true proportion one of them could not be seen. Each gap is as wide
// as its logarithm, with room for the marks in it, and the scale says the true times.
function timeScale(items, from, to) {
  const times = [];
  const places = new Map();
  let [sum, marks] = [0, 0];
  for (const it of items) {
    if (it.kind === "mark") marks += 1;
    else {
      const before = times[times.length - 1];
      if (before !== undefined) sum += 0.4 + Math.log2(1 + Math.max(0, it.time - before) / 5e-5);
      sum += 3 * marks;
      if (!places.has(it.time)) times.push(it.time);
      places.set(it.time, sum);
      marks = 0;
    }
  }
  sum += 3 * marks;
  const x = (time) => (sum ? from + ((to - from) * places.get(time)) / sum : (from + to) / 2);
  return { x, times };
}

// A mark has no time of its own in the text: it stands between its neighbours, and several share the room evenly.
function markPlaces(items, scale, from, to) {
  const places = [];
  let before = null;
  let waiting = [];
  const place = (end) => {
    const start = before === null ? from : scale.x(before);
    waiting.forEach((mark, at) => {
      places.push({ text: mark.text, x: start + ((end - start) * (at + 1)) / (waiting.length + 1) });
    });
    waiting = [];
  };
  for (const item of items) {
    if (item.kind === "mark") {
      waiting.push(item);
      continue;
    }
    place(scale.x(item.time));
    before = item.time;
  }
  place(to);
  return places;
}

function niceTicks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((it) => it * power).find((it) => it >= rough));
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) ticks.push(tick);
  return ticks;
}

// A value holds until the next one.
function steps(points) {
  return points.map(([x, y], at) => (at ? `H${x.toFixed(1)}V${y.toFixed(1)}` : `M${x.toFixed(1)} ${y.toFixed(1)}`)).join("");
}

// One direction: its data, and what the other end said about them.
function direction(segments, out) {
  const data = segments.filter((it) => it.out === out && it.length > 0);
  const answers = segments.filter((it) => it.out !== out && it.ack !== null && !it.rst);
  const syn = (way) => segments.find((it) => it.out === way && it.syn);
  const both = [syn(true), syn(false)];
  // The scale counts where both ends have offered it (RFC 7323, section 2.2).
  const scaled = both.every((it) => it && it.scale !== null);
  const shift = scaled ? 2 ** syn(!out).scale : 1;
  const edges = answers.map((it) => ({ time: it.time, edge: it.ack + it.win * (it.syn ? 1 : shift) }));
  return { out, data, answers, edges, known: both.every(Boolean) };
}

function panel(way, host, scale, top, width, clip) {
  const bottom = top + PLOT.panel;
  const points = [...way.data.flatMap((it) => [it.seq, it.end]), ...way.answers.map((it) => it.ack)];
  const low = Math.min(...points);
  const high = Math.max(...points, low + 1);
  const reach = Math.max(high, ...way.edges.map((it) => it.edge));
  // A wide window would press the data into a line: it may take two thirds of the height, and is cut off there.
  const ceiling = Math.min(reach, high + 2 * (high - low));
  const span = (ceiling - low) * 1.06;
  const y = (number) => bottom - (PLOT.panel * (number - low)) / span;
  const end = width - PLOT.right;
  const step = (values) => {
    const line = values.map(([time, value]) => [scale.x(time), y(value)]);
    return line.length ? `${steps(line)}H${end}` : "";
  };
  const who = way.out ? `from host ${host} to its peer` : `from the peer to host ${host}`;
  const parts = [svg("clipPath", { id: clip }, svg("rect", { x: PLOT.left, y: top, width: end - PLOT.left, height: PLOT.panel }))];
  parts.push(svg("text", { x: PLOT.left, y: top - 8, class: "host" }, who));
  parts.push(svg("text", { x: PLOT.left - 6, y: top - 8, "text-anchor": "end", class: "time" }, "bytes"));
  for (const tick of niceTicks(low, ceiling, 4)) {
    parts.push(svg("line", { x1: PLOT.left, x2: end, y1: y(tick), y2: y(tick), class: "grid" }));
    parts.push(svg("text", { x: PLOT.left - 6, y: y(tick) + 4, "text-anchor": "end", class: "time" }, (tick < 1e6 ? numbers : short).format(tick)));
  }
  const lines = svg("g", { "clip-path": `url(#${clip})` },
    svg("path", { class: "edge", d: step(way.edges.map((it) => [it.time, it.edge])) }),
    svg("path", { class: "ack", d: step(way.answers.map((it) => [it.time, it.ack])) }));
  parts.push(lines);
  for (const it of way.data) {
    const [x, from, to] = [scale.x(it.time), y(it.seq), y(it.end)];
    const bar = { x: x - 2, y: to, width: 4, height: Math.max(2, from - to), class: `data ${segmentClass(it)}` };
    parts.push(svg("rect", bar, svg("title", {}, it.line.trim())));
  }
  if (reach > ceiling) {
    parts.push(svg("text", { x: end - 4, y: top + 12, "text-anchor": "end", class: "remark" }, `window edge up to ${numbers.format(reach)} \u2191`));
  }
  return parts;
}

// Which connection is most of the trace; the others are in the ladder.
function busiest(items) {
  const counts = new Map();
  for (const it of items) {
    if (it.kind === "segment") counts.set(it.connection, (counts.get(it.connection) || 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}

// The picture and what has to be said about it; nothing where no data were seen.
function drawPlot(excerpt, items, width) {
  const connection = busiest(items);
  const shown = items.filter((it) => it.kind === "mark" || (it.kind === "segment" && it.connection === connection));
  const segments = shown.filter((it) => it.kind === "segment");
  const ways = [true, false].map((out) => direction(segments, out)).filter((way) => way.data.length > 0);
  if (ways.length === 0) return null;

  const [from, to] = [PLOT.left + 6, width - PLOT.right - 6];
  const scale = timeScale(shown, from, to);
  const clip = `clip-${++ids}`;
  const panels = ways.flatMap((way, at) =>
    panel(way, excerpt.host, scale, PLOT.top + at * (PLOT.panel + PLOT.between), width, `${clip}-${at}`));
  const bottom = PLOT.top + ways.length * (PLOT.panel + PLOT.between) - PLOT.between;

  let free = -Infinity;
  const ticks = scale.times.filter((time) => {
    const taken = scale.x(time) < free;
    if (!taken) free = scale.x(time) + 66;
    return !taken;
  }).map((time) => svg("text", { x: Math.min(scale.x(time), width - 28), y: bottom + 16, "text-anchor": "middle", class: "time" }, time.toFixed(6)));

  ticks.push(svg("text", { x: 4, y: bottom + 16, class: "time" }, "s"));

  const marks = markPlaces(shown, scale, from, to);
  const key = (at) => String.fromCharCode(65 + (at % 26));
  const lines = marks.map((mark, at) => svg("g", { class: "mark" },
    svg("title", {}, mark.text),
    svg("line", { x1: mark.x, x2: mark.x, y1: PLOT.line + 4, y2: bottom }),
    svg("text", { x: mark.x, y: PLOT.line, "text-anchor": "middle" }, key(at))));

  const unknown = ways.some((way) => !way.known);
  const caption = `Connection [${connection}]. Bars are data, from their first byte to their last; the solid line is what was acknowledged, `
    + `the dashed line how far the window reached${unknown ? " (not scaled: the handshake is not in this excerpt)" : ""}. Long gaps of time are shortened.`;
  const legend = marks.length ? marks.map((mark, at) => `${key(at)} ${mark.text}`).join(", ") : null;
  const bytes = ways.map((way) => `${way.data.length} segments with data ${way.out ? "out of" : "into"} host ${excerpt.host}`);
  const drawn = picture(width, bottom + PLOT.bottom, `Time and sequence numbers at host ${excerpt.host}`,
    `${bytes.join(", ")}. ${caption} ${legend ? `Marks: ${legend}.` : ""}`, ...panels, ...lines, ...ticks);
  return { drawn, caption: legend ? `${caption} Marks, between their neighbours: ${legend}.` : caption };
}

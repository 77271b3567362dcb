// The ladder of a trace: two hosts side by side, time running down, an arrow for each segment.
"use strict";

const LADDER = { times: 66, line: 15, letter: 6.8, slant: 5 };

// Breaks a text at blanks where there are any: pictures do not wrap.
function wrap(text, letters) {
  const lines = [""];
  for (const word of text.split(" ")) {
    for (let rest = word; rest !== ""; rest = rest.slice(letters)) {
      const piece = rest.slice(0, letters);
      const last = lines[lines.length - 1];
      if (last === "") lines[lines.length - 1] = piece;
      else if (last.length + 1 + piece.length <= letters) lines[lines.length - 1] += ` ${piece}`;
      else lines.push(piece);
    }
  }
  return lines;
}

function segmentLabel(segment, several, letters) {
  const first = `${several ? `[${segment.connection}] ` : ""}${segment.flags} ${segment.seq}:${segment.end}(${segment.length})`;
  const second = `${segment.ack === null ? "" : `ack ${segment.ack} `}win ${segment.win}`;
  const whole = `${first} ${second}`;
  return whole.length <= letters ? [whole] : [...wrap(first, letters), ...wrap(second, letters)];
}

function segmentClass(segment) {
  if (segment.rst) return "reset";
  return segment.again ? "again" : "plain";
}

function drawLadder(excerpt, items, width) {
  const left = LADDER.times + 4;
  const right = width - 10;
  const middle = (left + right) / 2;
  const letters = Math.max(12, Math.floor((right - left - 16) / LADDER.letter));
  const several = new Set(items.filter((it) => it.kind === "segment").map((it) => it.connection)).size > 1;
  const rows = [];
  let y = 34;

  const words = (lines, x, anchor, name) => {
    for (const line of lines) {
      y += LADDER.line;
      rows.push(svg("text", { x, y: y - 3, "text-anchor": anchor, class: name }, line));
    }
  };
  const remark = (text) => {
    y += 3;
    words(wrap(text, letters), middle, "middle", "remark");
    y += 3;
  };
  const band = (item) => {
    y += 5;
    const lines = wrap(item.text, letters);
    const height = lines.length * LADDER.line + 5;
    rows.push(svg("rect", { x: left - 5, y, width: right - left + 10, height, rx: 3, class: "band" }));
    words(lines, middle, "middle", "band-text");
    y += 10;
  };
  const arrow = (item) => {
    const segment = item.kind === "segment";
    const label = segment ? segmentLabel(item, several, letters) : wrap(item.text, letters);
    const kind = segment ? `arrow ${segmentClass(item)}` : "other";
    const top = y;
    words(label, middle, "middle", "label");
    y += 3;
    const [from, to] = item.out ? [left, right] : [right, left];
    const back = item.out ? -8 : 8;
    const end = y + LADDER.slant;
    rows.push(svg("g", { class: kind, "data-packet": item.number },
      svg("title", {}, item.line.trim()),
      svg("rect", { x: 0, y: top, width, height: end - top, class: "catch" }),
      svg("line", { x1: from, y1: y, x2: to + back / 2, y2: end }),
      svg("path", { d: `M${to} ${end}l${back} -5v10z` }),
      svg("text", { x: LADDER.times - 4, y: y + 2, "text-anchor": "end", class: "time" }, item.shown)));
    y = end;
    if (item.notes) words(wrap(item.notes, letters), middle, "middle", `note ${segmentClass(item)}`);
    y += 5;
  };

  if (excerpt.before) remark(`${numbers.format(excerpt.before)} lines before`);
  for (const item of items) {
    if (item.kind === "mark") band(item);
    else if (item.kind === "segment" || item.kind === "packet") arrow(item);
    else if (item.kind !== "head") remark(item.text);
  }
  if (excerpt.after) remark(`${numbers.format(excerpt.after)} lines after`);
  y += 8;

  const count = items.filter((it) => it.kind === "segment").length;
  const marks = items.filter((it) => it.kind === "mark").map((it) => it.text);
  const description = `${count} segments between host ${excerpt.host} at the left and its peer at the right, from top to bottom`
    + `${marks.length ? `; marks: ${marks.join(", ")}` : ""}. The same stands below as text.`;
  return picture(width, y, `Ladder of the segments at host ${excerpt.host}`, description,
    svg("text", { x: LADDER.times - 4, y: 16, "text-anchor": "end", class: "time" }, "seconds"),
    svg("text", { x: left - 4, y: 16, class: "host" }, `host ${excerpt.host}`),
    svg("text", { x: right + 4, y: 16, "text-anchor": "end", class: "host" }, "peer"),
    svg("line", { x1: left, y1: 24, x2: left, y2: y, class: "life" }),
    svg("line", { x1: right, y1: 24, x2: right, y2: y, class: "life" }),
    ...rows);
}

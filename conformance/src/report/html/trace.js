// Reading the lines of a trace, as the lab prints them.
"use strict";

const SEGMENT = /^(\[(\d+)\]) (\S+) +(\d+):(\d+)\((\d+)\)(?: ack (\d+))? win (\d+)(?: <([^>]*)>)?( gso)?(?: # (.*))?$/;
const PACKET = /^ *(\d+) (\d+\.\d+) ([<>]) (?:vlan (\S+) )?(.*)$/;
const MARK = /^---- (.*) ----$/;
const HEAD = /^\S+: \d+ packets$/;
const CONNECTION = /^\[(\d+)\] is (.+)$/;

// What a capture saw first counts as zero; what precedes it has wrapped around.
function relative(text) {
  const number = Number(text);
  return number >= 2 ** 31 ? number - 2 ** 32 : number;
}

function parseLine(line) {
  const mark = MARK.exec(line);
  if (mark) return { kind: "mark", text: mark[1], line };
  if (HEAD.test(line)) return { kind: "head", text: line, line };
  const connection = CONNECTION.exec(line);
  if (connection) return { kind: "connection", number: Number(connection[1]), text: line, line };
  const packet = PACKET.exec(line);
  if (!packet) return { kind: "text", text: line, line };
  const [, number, time, direction, vlan, rest] = packet;
  const common = { line, number: Number(number), time: Number(time), shown: time, out: direction === ">" };
  const segment = SEGMENT.exec(rest);
  if (!segment) return { ...common, kind: "packet", text: rest };
  const [, , of, flags, seq, end, length, ack, win, options, , notes] = segment;
  const scale = /wscale (\d+)/.exec(options || "");
  return {
    ...common, kind: "segment", connection: Number(of), vlan, flags,
    seq: relative(seq), end: relative(end), length: Number(length),
    ack: ack === undefined ? null : relative(ack), win: Number(win),
    scale: scale ? Number(scale[1]) : null, notes: notes || "",
    syn: flags.includes("S"), rst: flags.includes("R"),
    again: /\bretransmission\b/.test(notes || ""),
  };
}

function parseTrace(lines) {
  return lines.map(parseLine);
}

// Elements are made by these two only: whatever comes from a case is a text, and never markup.
function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

function refill(element, ...children) {
  element.replaceChildren();
  return fill(element, {}, children);
}

const numbers = new Intl.NumberFormat("en");
let ids = 0;

// A picture with the texts that stand for it where it is not seen.
function picture(width, height, title, description, ...children) {
  const id = `picture-${++ids}`;
  return svg("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-labelledby": `${id}-title`, "aria-describedby": `${id}-desc`,
  },
  svg("title", { id: `${id}-title` }, title),
  svg("desc", { id: `${id}-desc` }, description),
  ...children);
}

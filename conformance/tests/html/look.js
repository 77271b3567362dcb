// Put at the end of a page: opens all there is to open, and tells the page around it what is there then.
const all = (selector) => [...document.querySelectorAll(selector)];
// What is wider may be where it can be scrolled.
const scrolls = (element) => element && (getComputedStyle(element).overflowX === "auto" || scrolls(element.parentElement));
const wide = () => all("body *").filter((it) => {
  const hidden = it.closest(".skip-link, legend, .word, defs, clipPath");
  return !hidden && it.getBoundingClientRect().right > innerWidth + 1 && !scrolls(it.parentElement);
}).map((it) => `${it.tagName}.${it.getAttribute("class")}`);

const look = () => parent.postMessage(JSON.stringify({
  width: innerWidth,
  page: document.documentElement.scrollWidth,
  heading: document.querySelector("h1").textContent,
  header: document.querySelector("header").textContent,
  count: document.getElementById("count").textContent,
  listed: all("#list details.case").map((it) => it.dataset.id),
  failures: all("#failures details.case").map((it) => it.dataset.id),
  arrows: all("#failures svg .arrow").length,
  others: all("#failures svg .other").length,
  bands: all("#failures svg .band").length,
  plots: all("#failures svg .edge").length,
  unnamed: all("svg[role=img]").filter((it) => !it.getAttribute("aria-label") && !it.querySelector("title")).length,
  compared: all("#compare tbody tr").map((it) => it.textContent),
  links: all("#failures .trace a").map((it) => it.getAttribute("href")),
  commands: all("#failures .command code").map((it) => it.textContent),
  injected: all("img, script").length - 4,
  wide: wide(),
  wrong: window.wrong,
}), "*");

// Opening one thing makes others that can be opened; pictures are drawn when there is room for them.
const made = () => all("main details").every((it) => it.open)
  && all("details.area > .group, .pictures > figure").every((it) => it.hasChildNodes())
  && all("details.case").every((it) => it.querySelector(".body"));

const wait = () => {
  if (made()) return look();
  all("main details").forEach((it) => { it.open = true; });
  return setTimeout(wait, 20);
};
addEventListener("load", () => setTimeout(wait, 20));

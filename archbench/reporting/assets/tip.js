// The tip of a point: every figure of it, beside it and inside the window.

const LONGEST = 40; // letters of a figure; what is opened by a click has all
const ASIDE = 16; // pixels from the point
const EDGE = 8; // pixels from the edge of the window
const NARROW = matchMedia("(max-width: 40rem)");

function hideTip() {
  byId("tip").hidden = true;
}

// Every figure of a run, or those that a model's runs have in common and the means of the others.
function figures(data, point) {
  const group = data.groups[point.group];
  const rows = [];
  for (const [name, packed] of Object.entries(data.runs.figures)) {
    const found = (point.run === undefined ? group.runs : [point.run]).map((run) => unpack(packed, run));
    const [first] = found;
    if (found.every((word) => word === first)) {
      if (first) rows.push([name, first]);
    } else {
      const score = data.y.find((one) => one.label === name);
      const cost = data.x.find((one) => one.label === name);
      const [one, values] = score ? [score, group.scores[score.name]] : [cost, cost && group.at[cost.name]];
      if (values) rows.push([name, format(one, values)]);
    }
  }
  return rows;
}

const brief = (word) => (word.length > LONGEST ? `${word.slice(0, LONGEST - 1)}…` : word);

// What is along the axes, where there is no room for every figure.
function shownAlong({ x, y }, point) {
  const alone = (value) => [value, null, null];
  return [[x.label, format(x, point.at ?? alone(point.x))], [y.label, format(y, point.score ?? alone(point.y))]];
}

// Where a tip begins, along one direction: behind its point, or before it where there is no room.
const besides = (point, size, room) => (point + ASIDE + size + EDGE <= room ? point + ASIDE : Math.max(EDGE, point - ASIDE - size));

function titleOf(data, point) {
  const { name, runs } = data.groups[point.group];
  if (point.source !== undefined) return `${name}, published`;
  if (point.run !== undefined) return `${name}, seed ${data.runs.seeds[point.run]}`;
  return name + (runs.length > 1 ? `: mean of ${runs.length} runs [95 %]` : "");
}

function showTip(data, point, svg, box) {
  const tip = byId("tip");
  const [chosen, ours, narrow] = [settings(data), point.source === undefined, NARROW.matches];
  const rows = narrow || !ours ? shownAlong(chosen, point) : figures(data, point);
  const notes = ours ? publishedWords(point, chosen) : [`Source: ${point.source}${data.beside.note}`];
  if (ours && !narrow) notes.push(...data.groups[point.group].notes);
  tip.replaceChildren(
    make("strong", {}, titleOf(data, point)),
    make("dl", {}, ...rows.map(([name, word]) => make("div", {}, make("dt", {}, name), make("dd", {}, brief(word))))),
    ...notes.map((note) => make("p", {}, note)),
  );
  tip.hidden = false;
  const [plot, scale] = [svg.getBoundingClientRect(), svg.getBoundingClientRect().width / box.width];
  const [x, y] = [plot.left + point.px * scale, plot.top + point.py * scale];
  const page = document.documentElement;
  tip.style.setProperty("left", `${besides(x, tip.offsetWidth, page.clientWidth)}px`);
  tip.style.setProperty("top", `${besides(y, tip.offsetHeight, page.clientHeight)}px`);
}

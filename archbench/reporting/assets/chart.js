// The figure: every run a dot, every model the mean of its runs with its interval, along the axes that are chosen.

const MARKERS = [
  "M-5,0A5,5 0 1 0 5,0A5,5 0 1 0 -5,0Z", "M-4.5,-4.5H4.5V4.5H-4.5Z", "M0,-5.6L5.4,4.2H-5.4Z", "M0,-6L6,0L0,6L-6,0Z",
  "M0,5.6L5.4,-4.2H-5.4Z", "M-1.8,-5.5H1.8V-1.8H5.5V1.8H1.8V5.5H-1.8V1.8H-5.5V-1.8H-1.8Z",
  "M-5.5,-3L-3,-5.5L0,-2.5L3,-5.5L5.5,-3L2.5,0L5.5,3L3,5.5L0,2.5L-3,5.5L-5.5,3L-2.5,0Z",
  "M0,-6L1.5,-2L6,-2L2.4,0.8L3.7,5L0,2.4L-3.7,5L-2.4,0.8L-6,-2L-1.5,-2Z", "M-5.6,0L4.2,-5.4V5.4Z", "M5.6,0L-4.2,-5.4V5.4Z",
];
const PRINTED = "640px"; // the width of A4 between its margins
const COLORS = 10;
const REACH = 18; // pixels from a point within which it is meant
const DODGE = 7; // pixels between families that have the same size
const WIDEST = 28; // pixels that all of them take

const state = { hidden: new Set(), points: [], means: [], chosen: 0, looks: [] };

// Ten colours with ten markers, shifted with every round, tell a hundred lines apart.
const classOf = (series) => `c${state.looks[series] % COLORS}`;
const markerOf = (series) => MARKERS[(state.looks[series] + Math.floor(state.looks[series] / COLORS)) % MARKERS.length];

const axis = (data, which) => data[which].find((one) => one.name === byId(which).value);

function settings(data) {
  return { x: axis(data, "x"), y: axis(data, "y"), logx: byId("logx").checked, logy: byId("logy").checked };
}

const drawable = (x, y, { logx, logy }) =>
  Number.isFinite(x) && Number.isFinite(y) && (!logx || x > 0) && (!logy || y > 0);

// What is drawn: the means of models, and the runs that are done.
function pointsOf(data, chosen) {
  const points = [];
  for (const [place, group] of data.groups.entries()) {
    const series = data.series.indexOf(group.series);
    if (state.hidden.has(series)) continue;
    const at = group.at[chosen.x.name];
    const score = group.scores[chosen.y.name];
    if (at && score && drawable(at[0], score[0], chosen)) points.push({ group: place, series, x: at[0], y: score[0], at, score });
    for (const run of group.runs) {
      const [x, y] = [data.runs.values[chosen.x.name][run], data.runs.values[chosen.y.name][run]];
      if (unpack(data.runs.states, run) === "done" && drawable(x, y, chosen)) points.push({ group: place, series, run, x, y });
    }
  }
  return points;
}

function frame(svg, box, across, up, chosen) {
  for (const tick of up.ticks) {
    svg.append(
      draw("line", { class: "grid", x1: box.left, x2: box.width - box.right, y1: up.at(tick), y2: up.at(tick) }),
      draw("text", { x: box.left - 7, y: up.at(tick) + 4, "text-anchor": "end" }, written[chosen.y.kind](tick)),
    );
  }
  for (const tick of across.ticks) {
    svg.append(
      draw("line", { class: "grid", x1: across.at(tick), x2: across.at(tick), y1: box.top, y2: box.height - box.bottom }),
      draw("text", { x: across.at(tick), y: box.height - box.bottom + 18, "text-anchor": "middle" }, written[chosen.x.kind](tick)),
    );
  }
  const middle = (box.top + box.height - box.bottom) / 2;
  svg.append(
    draw("text", { class: "title", x: (box.left + box.width - box.right) / 2, y: box.height - 6, "text-anchor": "middle" }, chosen.x.label),
    draw("text", { class: "title", x: 0, y: 0, transform: `translate(14 ${middle}) rotate(-90)`, "text-anchor": "middle" }, chosen.y.label),
  );
}

function interval(point, across, up, aside, logs) {
  const bars = draw("g", { class: "bars" });
  const [px, py] = [point.px, point.py];
  const ends = (values, log) => values.slice(1).every((one) => one !== null && (!log || one > 0)) && values.slice(1);
  const [vertical, horizontal] = [ends(point.score, logs.logy), ends(point.at, logs.logx)];
  if (vertical) {
    const [low, high] = vertical.map((value) => up.at(value));
    bars.append(draw("path", { d: `M${px},${low}V${high}M${px - 3},${low}h6M${px - 3},${high}h6` }));
  }
  if (horizontal) {
    const [low, high] = horizontal.map((value) => across.at(value) + aside);
    bars.append(draw("path", { d: `M${low},${py}H${high}M${low},${py - 3}v6M${high},${py - 3}v6` }));
  }
  return bars;
}

const words = (data, point, chosen) =>
  [`${data.groups[point.group].name}: ${chosen.x.label} ${format(chosen.x, point.at)}`,
    `${chosen.y.label} ${format(chosen.y, point.score)}`, ...publishedWords(point, chosen)].join(", ");

function format(one, [value, low, high]) {
  const write = one.kind === "count" ? (number) => Math.round(number).toLocaleString("en") : written[one.kind];
  return write(value) + (low === null || high === null ? "" : ` [${write(low)}, ${write(high)}]`);
}

function redraw(data) {
  const plot = byId("plot");
  const chosen = settings(data);
  const points = pointsOf(data, chosen);
  const width = Math.max(280, plot.clientWidth);
  const box = { width, height: Math.round(Math.min(560, Math.max(300, width * 0.55))), left: 62, right: 14, top: 12, bottom: 46 };
  const means = points.filter((point) => point.run === undefined);
  const published = publishedOf(data, means, chosen);
  state.points = [...points, ...published];
  state.chosen = Math.min(state.chosen, Math.max(0, means.length - 1));
  hideTip();
  if (!means.length) {
    const why = state.hidden.size === data.series.length ? "All are hidden: the names above show them again." : "Nothing is known along these axes.";
    plot.replaceChildren(make("p", { class: "empty" }, why));
    say(why);
    return;
  }
  const seeds = byId("seeds").checked ? points.filter((point) => point.run !== undefined) : [];
  const bounds = (values, log) => values.filter((value) => value !== null && (!log || value > 0));
  const across = scaleOf(bounds([...seeds.map((p) => p.x), ...means.flatMap((p) => p.at)], chosen.logx), chosen.logx,
    box.left, width - box.right, Math.max(3, Math.floor(width / 110)), chosen.x.kind === "bytes" ? 2 ** 20 : 1);
  const up = scaleOf(bounds([...seeds.map((p) => p.y), ...means.flatMap((p) => p.score), ...published.map((p) => p.y)], chosen.logy), chosen.logy,
    box.height - box.bottom, box.top, 7);
  const step = Math.min(DODGE, WIDEST / data.series.length);
  const aside = (series) => (chosen.x.name === "params" ? step * (series - (data.series.length - 1) / 2) : 0);
  for (const point of state.points) Object.assign(point, { px: across.at(point.x) + aside(point.series), py: up.at(point.y) });

  const svg = draw("svg", { viewBox: `0 0 ${width} ${box.height}`, role: "group",
    "aria-label": `${chosen.x.label} against ${chosen.y.label} of ${means.length} models` });
  frame(svg, box, across, up, chosen);
  const told = drawConcluded(svg, data, means, box, across, chosen);
  for (const point of seeds) {
    svg.append(draw("circle", { class: `seed ${classOf(point.series)}`, cx: point.px, cy: point.py, r: 3 }));
  }
  for (const [series] of data.series.entries()) {
    const own = means.filter((point) => point.series === series).sort((a, b) => a.x - b.x);
    if (own.length > 1) svg.append(draw("path", { class: `join ${classOf(series)}`, d: `M${own.map((p) => `${p.px},${p.py}`).join("L")}` }));
  }
  means.sort((a, b) => a.x - b.x || a.series - b.series);
  state.means = means;
  for (const [place, point] of means.entries()) {
    point.node = draw("g", { class: `mean ${classOf(point.series)}`, role: "button", "aria-label": words(data, point, chosen),
      tabindex: place === state.chosen ? "0" : "-1", "data-place": place },
      interval(point, across, up, aside(point.series), chosen),
      draw("path", { class: "mark", d: markerOf(point.series), transform: `translate(${point.px} ${point.py})` }));
    svg.append(point.node);
  }
  told.push(...drawPublished(svg, data, published));
  plot.replaceChildren(svg);
  watch(svg, data, box);
  const left = data.groups.length - means.length - data.groups.filter((group) => state.hidden.has(data.series.indexOf(group.series))).length;
  const lost = left > 0 ? [`${left} ${left === 1 ? "has" : "have"} no place here`] : [];
  const shown = `${chosen.x.label} against ${chosen.y.label}: ${means.length} models, ${points.length - means.length} runs`;
  say(`${[shown, ...lost, ...told].join("; ")}.`);
}

// The point that is meant by a place in the plot: the nearest one, means and what was published before runs.
function nearest(x, y) {
  let best = null;
  for (const point of state.points) {
    if (point.run !== undefined && !byId("seeds").checked) continue;
    const far = Math.hypot(point.px - x, point.py - y) - (point.run === undefined ? 4 : 0);
    if (far < REACH && (best === null || far < best.far)) best = { far, point };
  }
  return best?.point ?? null;
}

function watch(svg, data, box) {
  const meant = (event) => {
    const place = svg.getBoundingClientRect();
    const scale = box.width / place.width;
    return nearest((event.clientX - place.left) * scale, (event.clientY - place.top) * scale);
  };
  svg.addEventListener("pointermove", (event) => {
    const point = meant(event);
    svg.classList.toggle("over", point !== null);
    if (point) showTip(data, point, svg, box);
    else hideTip();
  });
  svg.addEventListener("pointerleave", hideTip);
  svg.addEventListener("click", (event) => {
    // A pointer hits what is drawn of a point, and means what its tip shows; a screen reader clicks the point itself.
    const own = state.means[event.target.closest(".mean")?.dataset.place];
    const point = event.target === own?.node ? own : meant(event) ?? own;
    if (point) open(data, point);
  });
  svg.addEventListener("focusin", (event) => {
    const place = event.target.closest(".mean")?.dataset.place;
    if (place === undefined) return;
    choose(Number(place));
    if (event.target.matches(":focus-visible")) showTip(data, state.means[place], svg, box);
  });
  svg.addEventListener("focusout", hideTip);
  svg.addEventListener("keydown", (event) => step(event, data));
}

// The point that keys act on, and the only one that Tab comes to.
function choose(place) {
  state.means[state.chosen].node.setAttribute("tabindex", "-1");
  state.chosen = place;
  state.means[place].node.setAttribute("tabindex", "0");
}

function open(data, point) {
  hideTip();
  state.means.find((one) => one.group === point.group)?.node.focus({ preventScroll: true });
  openDetail(data, point.group);
}

// Left and right along a line of the figure, up and down from line to line.
function neighbour(key) {
  const { means } = state;
  const here = means[state.chosen];
  if (key === "Home" || key === "End") return means.at(key === "Home" ? 0 : -1);
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const line = means.filter((one) => one.series === here.series);
    return line[line.indexOf(here) + (key === "ArrowRight" ? 1 : -1)] ?? here;
  }
  const lines = [...new Set(means.map((one) => one.series))].sort((a, b) => a - b);
  const next = lines[lines.indexOf(here.series) + (key === "ArrowDown" ? 1 : -1)];
  const others = means.filter((one) => one.series === next);
  return others.length ? others.reduce((a, b) => (Math.abs(b.px - here.px) < Math.abs(a.px - here.px) ? b : a)) : here;
}

function step(event, data) {
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    open(data, state.means[state.chosen]);
  } else if (event.key === "Escape") {
    hideTip();
  } else if (/^Arrow|^Home$|^End$/.test(event.key)) {
    event.preventDefault();
    neighbour(event.key).node.focus();
  }
}

function legend(data) {
  const entries = data.series.map((name, place) => {
    const mark = draw("svg", { viewBox: "-8 -8 16 16", width: 16, height: 16, "aria-hidden": "true", class: classOf(place) },
      draw("path", { class: "mark", d: markerOf(place) }));
    const entry = button("", () => {
      const shown = entry.getAttribute("aria-pressed") === "true";
      entry.setAttribute("aria-pressed", String(!shown));
      state.hidden[shown ? "add" : "delete"](place);
      redraw(data);
    }, { "aria-pressed": "true" });
    entry.append(mark, name);
    return entry;
  });
  byId("legend").replaceChildren(...entries);
}

function startChart(data) {
  byId("chart").hidden = false;
  state.looks = data.looks;
  for (const which of ["x", "y"]) {
    byId(which).append(...data[which].map((one) => make("option", { value: one.name }, one.label)));
    const change = () => {
      byId(`log${which}`).checked = axis(data, which)?.log ?? false;
    };
    byId(which).addEventListener("change", () => {
      change();
      redraw(data);
    });
    change();
  }
  if (!data.x.length || !data.y.length) {
    byId("controls").hidden = true;
    byId("plot").append(make("p", { class: "empty" }, "No run is done: there is nothing to draw."));
    return;
  }
  for (const id of ["logx", "logy", "seeds"]) byId(id).addEventListener("change", () => redraw(data));
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  legend(data);
  // On paper the plot is as wide as in a small window, so that its letters are not made small.
  for (const [when, wide] of [["beforeprint", PRINTED], ["afterprint", ""]]) {
    addEventListener(when, () => {
      byId("plot").style.setProperty("width", wide);
      redraw(data);
    });
  }
  let width = 0;
  new ResizeObserver(() => {
    if (byId("plot").clientWidth === width) return;
    width = byId("plot").clientWidth;
    redraw(data);
  }).observe(byId("plot"));
}

// What is drawn beside the runs: the Pareto front, where the lead changes, and what others published, hollow.

const MOST_BANDS = 3; // more are not told apart
const ACCURACY = "test_accuracy"; // that all of it is about

const nameOf = (data, place) => data.groups[place].series;
const isShown = (data, place) => !state.hidden.has(data.series.indexOf(nameOf(data, place)));

// Published points stand at the counts of our own model; of times, each machine has its own.
function publishedOf(data, means, chosen) {
  if (chosen.y.name !== ACCURACY || chosen.x.kind !== "count") return [];
  return data.beside.published.flatMap((known) => {
    const mean = means.find((one) => one.group === known.group);
    if (!mean || !drawable(mean.x, known[ACCURACY], chosen)) return [];
    const point = { group: known.group, series: mean.series, x: mean.x, y: known[ACCURACY], source: known.source };
    (mean.published ??= []).push(point);
    return [point];
  });
}

const publishedWords = (point, chosen) =>
  (point.published ?? []).map((one) => `published ${written[chosen.y.kind](one.y)} (${one.source})`);

function frontsOf(data, means, chosen) {
  return (data.beside.fronts[chosen.x.name] ?? [])
    .map((front) => front.map((place) => means.find((one) => one.group === place)).filter(Boolean))
    .filter((front) => front.length > 1);
}

// Draw what is concluded; return how it is called.
function drawConcluded(svg, data, means, box, across, chosen) {
  if (chosen.y.name !== ACCURACY) return [];
  const said = [];
  for (const front of frontsOf(data, means, chosen)) {
    const [first, ...others] = front;
    svg.append(draw("path", { class: "front", d: `M${first.px},${first.py}${others.map((one) => `H${one.px}V${one.py}`).join("")}` }));
    said[0] = "grey steps: Pareto front";
  }
  const crossings = (data.beside.crossings[chosen.x.name] ?? []).filter((one) => isShown(data, one.before) && isShown(data, one.after));
  if (crossings.length > MOST_BANDS) return [...said, `${crossings.length} crossings, in the table below`];
  for (const { before, after, at } of crossings) {
    const [value, low, high] = at.map((one) => one !== null && across.at(one));
    const [top, bottom] = [box.top, box.height - box.bottom];
    const resolved = low !== false && high !== false;
    svg.append(draw("g", { class: "crossing" },
      resolved ? draw("rect", { x: low, width: high - low, y: top, height: bottom - top }) : null,
      draw("line", { x1: value, x2: value, y1: top, y2: bottom })));
    said.push(`dotted: ${nameOf(data, after)} overtakes ${nameOf(data, before)} at ${format(chosen.x, at)}${resolved ? "" : ", not resolved"}`);
  }
  return said;
}

function drawPublished(svg, data, published) {
  for (const point of published) {
    svg.append(draw("path", { class: `hollow ${classOf(point.series)}`, d: markerOf(point.series),
      transform: `translate(${point.px} ${point.py})` }));
  }
  const sources = [...new Set(published.map((one) => one.source))];
  return published.length ? [`hollow: published (${sources.join("; ")})${data.beside.note}`] : [];
}

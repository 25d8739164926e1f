// Loss and accuracy by epoch: the mean over seeds as a line, the least and the most of them as a band.

const SMALL = { width: 340, height: 220, left: 46, right: 8, top: 22, bottom: 34 };

function curve(model, metric) {
  const { width, height, left, right, top, bottom } = SMALL;
  const { epochs, lines } = model.curves;
  const found = ["validation", "train"].filter((split) => lines[`${split} ${metric}`]);
  const values = found.flatMap((split) => lines[`${split} ${metric}`].flat());
  if (!values.length) return null;
  const across = scaleOf(epochs, false, left, width - right, 6);
  const up = scaleOf(values, false, height - bottom, top, 5);
  const format = written[metric === "loss" ? "number" : "share"];
  const title = `${metric[0].toUpperCase()}${metric.slice(1)} by epoch of ${model.name}`;
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title, class: "curve" });
  for (const tick of up.ticks) {
    svg.append(
      draw("line", { class: "grid", x1: left, x2: width - right, y1: up.at(tick), y2: up.at(tick) }),
      draw("text", { x: left - 5, y: up.at(tick) + 4, "text-anchor": "end" }, format(tick)),
    );
  }
  for (const tick of across.ticks.filter((one) => Number.isInteger(one) && one >= 1)) {
    svg.append(draw("text", { x: across.at(tick), y: height - bottom + 16, "text-anchor": "middle" }, String(tick)));
  }
  svg.append(
    draw("text", { x: left, y: 13, class: "title" }, metric),
    draw("text", { x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, "epoch"),
  );
  for (const split of found) {
    const points = lines[`${split} ${metric}`].map((ends, place) => [epochs[place], ends]).filter(([, ends]) => ends.length);
    const path = (which, some) => some.map(([epoch, ends]) => `${across.at(epoch).toFixed(1)},${up.at(ends[which]).toFixed(1)}`).join(" L");
    svg.append(
      draw("path", { class: `band ${split}`, d: `M${path(1, points)} L${path(2, [...points].reverse())}Z` }),
      draw("path", { class: `line ${split}`, d: `M${path(0, points)}` }),
    );
    if (points.length === 1) svg.append(draw("circle", { class: `dot ${split}`, cx: across.at(points[0][0]), cy: up.at(points[0][1][0]), r: 3 }));
  }
  return svg;
}

function curvesOf(model) {
  if (!model.curves) return make("p", {}, "No epochs are stored of it.");
  const seeds = model.curves.runs === 1 ? "one run" : `mean of ${model.curves.runs} runs, with their range`;
  return make("figure", { class: "curves" },
    make("div", { class: "pair" }, curve(model, "loss"), curve(model, "accuracy")),
    make("figcaption", {}, `Validation solid, training dashed; ${seeds}.`));
}

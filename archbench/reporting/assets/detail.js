// All of one model: its figures run by run, its curves, its layers.

let opener = null;

function table(caption, head, rows) {
  const cells = (name, row) => row.map((cell) => make(name, name === "th" ? { scope: "col" } : {}, cell));
  const made = make("table", {}, make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...cells("th", head))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells("td", row)))));
  return equip(make("div", { class: "table" },
    make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, made)));
}

// A row a figure and a column a run; what all of its runs share has one cell.
function figuresOf(data, model) {
  const runs = model.runs;
  const head = ["figure", ...(runs.length > 1 ? ["all"] : []), ...runs.map((run) => `seed ${data.runs.seeds[run]}`)];
  const rows = [];
  for (const [name, words] of [...Object.entries(data.runs.figures), ...Object.entries(data.runs.facts)]) {
    const cells = runs.map((run) => unpack(words, run));
    if (!cells.some(Boolean) || name === "seed") continue;
    const shared = runs.length > 1 && cells.every((cell) => cell === cells[0]);
    rows.push([name, ...(runs.length > 1 ? [shared ? cells[0] : ""] : []), ...(shared ? runs.map(() => "") : cells)]);
  }
  rows.unshift(["state", ...(runs.length > 1 ? [""] : []), ...runs.map((run) => unpack(data.runs.states, run))]);
  return table(`Every figure of ${model.name}`, head, rows);
}

function layersOf(data, model) {
  const parts = [];
  if (model.layers !== undefined) {
    const { head, rows } = data.layers[model.layers];
    parts.push(table(`Layers of ${model.name}, in the order they run`, head, rows));
  } else parts.push(make("p", {}, model.why));
  if (model.command) parts.push(make("pre", { class: "code", tabindex: "0", role: "region", "aria-label": "The layers by command" }, model.command));
  return parts;
}

function closeDetail() {
  const detail = byId("detail");
  if (detail.hidden) return;
  detail.hidden = true;
  detail.replaceChildren();
  opener?.focus();
  opener = null;
}

function openDetail(data, place) {
  const model = data.groups[place];
  const detail = byId("detail");
  if (!detail.contains(document.activeElement)) opener = document.activeElement;
  const title = make("h3", { id: "detail-title", tabindex: "-1" }, model.name);
  detail.replaceChildren(
    make("div", { class: "head" }, title, button("Close", closeDetail)),
    ...(model.notes.length ? [make("ul", { class: "notes" }, ...model.notes.map((note) => make("li", {}, note)))] : []),
    curvesOf(model),
    make("h4", {}, "Layers"), ...layersOf(data, model),
    make("h4", {}, "Figures"), figuresOf(data, model),
  );
  detail.hidden = false;
  title.focus();
}

function startDetail() {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeDetail();
  });
}

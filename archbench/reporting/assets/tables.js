// Tables that are sorted by a click on a heading, filtered by what is typed, and copied as they stand.

const FEW = 5; // rows that need no filter
const FACTORS = { k: 1e3, M: 1e6, G: 1e9 };

// The number that a cell begins with: 28,775, 1.60M, +0.7 ± 3.5, 1.53x [1.49, 1.54] unstable; `1 failed` is none, and
// no part of a number is taken for it.
function numberIn(text) {
  const found = /^([+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?)([kMG])?x?(?![\w.,])(?! (?!missed|tie|unstable)[a-z])/.exec(text);
  return found ? Number(found[1].replaceAll(",", "")) * (FACTORS[found[2]] ?? 1) : null;
}

const collator = new Intl.Collator("en", { numeric: true });

// Numbers stand before words and words before nothing, whichever way a table is sorted.
const rank = ({ text, number }) => (number !== null ? 0 : text ? 1 : 2);

function sortBy(table, place, down) {
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row) => {
    const text = row.cells[place].textContent;
    return { row, text, number: numberIn(text) };
  });
  const order = (a, b) => (a.number !== null ? a.number - b.number : collator.compare(a.text, b.text));
  keyed.sort((a, b) => rank(a) - rank(b) || (down ? -1 : 1) * order(a, b));
  body.append(...keyed.map(({ row }) => row));
  for (const [at, heading] of [...table.tHead.rows[0].cells].entries()) {
    if (at === place) heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    else heading.removeAttribute("aria-sort");
  }
}

const shownRows = (table) => [...table.tBodies[0].rows].filter((row) => !row.hidden);

function wordsOf(table) {
  const words = (row) => [...row.cells].map((cell) => cell.textContent);
  return [words(table.tHead.rows[0]), ...shownRows(table).map(words)];
}

function tools(holder, table) {
  const status = make("span", { class: "status", role: "status" });
  const bar = make("div", { class: "tools" });
  const caption = table.caption.textContent;
  const rows = table.tBodies[0].rows;
  if (rows.length > FEW) {
    const field = make("input", { type: "search", placeholder: "Filter rows", "aria-label": `Filter rows: ${caption}` });
    const texts = new Map([...rows].map((row) => [row, row.textContent.toLowerCase()]));
    field.addEventListener("input", () => {
      const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const [row, text] of texts) row.hidden = !wanted.every((word) => text.includes(word));
      status.textContent = wanted.length ? `${shownRows(table).length} of ${rows.length} rows` : "";
    });
    bar.append(field);
  }
  for (const [name, format] of Object.entries(FORMATS)) {
    bar.append(button(`Copy ${name}`, async () => {
      const words = wordsOf(table);
      const done = await toClipboard(format(words));
      status.textContent = done ? `${words.length - 1} rows copied as ${name}` : "The browser gives no clipboard";
    }, { "aria-label": `Copy ${name}: ${caption}` }));
  }
  bar.append(status);
  holder.prepend(bar);
}

// What every table can do; it is given what holds the table.
function equip(holder) {
  const table = holder.querySelector("table");
  tools(holder, table);
  if (table.tBodies[0].rows.length > 1) {
    for (const [place, heading] of [...table.tHead.rows[0].cells].entries()) {
      const sorter = button(heading.textContent, () => sortBy(table, place, heading.ariaSort === "ascending"), { class: "sort" });
      heading.replaceChildren(sorter);
    }
  }
  return holder;
}

function startTables(open) {
  for (const holder of document.querySelectorAll("main .table")) {
    for (const row of equip(holder).querySelectorAll("tbody tr")) {
      if (row.dataset.group === undefined) continue;
      const [first] = row.cells;
      first.replaceChildren(button(first.textContent, () => open(Number(row.dataset.group)), { class: "open" }));
    }
  }
}

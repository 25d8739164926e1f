// Rows of words -> CSV, Markdown, LaTeX, with the rules of archbench.exports and archbench.markup, onto the clipboard.

const FORMULA = /^[=+\-@\t\r\0]/; // a spreadsheet runs the text of a cell that begins so
const NUMBER = /^[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?$/; // and this is none

function csv(rows) {
  const cell = (text) => {
    const number = NUMBER.test(text);
    const safe = number ? text.replaceAll(",", "") : FORMULA.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return rows.map((row) => row.map(cell).join(",") + "\n").join("");
}

function markdown(rows) {
  const entities = { "<": "&lt;", ">": "&gt;", "&": "&amp;" };
  const cell = (text) =>
    text.replace(
      /[<>]|&(?=[#\w])|[\\`*|~$]|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])|\](?=[([])/gu,
      (found) => entities[found] ?? `\\${found}`,
    );
  const line = (cells) => `| ${cells.map(cell).join(" | ")} |\n`;
  return line(rows[0]) + line(rows[0].map(() => "")).replaceAll("  ", " --- ") + rows.slice(1).map(line).join("");
}

function latex(rows) {
  const words = {
    "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}",
    ">": "\\textgreater{}", "|": "\\textbar{}", "[": "{[}", "]": "{]}",
  };
  const cell = (text) => text.replace(/[\\~^<>|[\]&%$#_{}]/g, (found) => words[found] ?? `\\${found}`);
  const line = (cells) => `${cells.map(cell).join(" & ")} \\\\\n`;
  const body = rows.slice(1).map(line).join("");
  const columns = "l".repeat(rows[0].length);
  return `\\begin{tabular}{${columns}}\n\\toprule\n${line(rows[0])}\\midrule\n${body}\\bottomrule\n\\end{tabular}\n`;
}

const FORMATS = { CSV: csv, Markdown: markdown, LaTeX: latex };

async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // where the browser gives a page no clipboard, the old way
    const area = make("textarea", { class: "hidden", readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

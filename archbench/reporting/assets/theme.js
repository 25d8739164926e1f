// Light, dark, or as the system has it; the choice is kept where the browser lets a page keep anything.

const THEMES = ["system", "light", "dark"];

function kept() {
  try {
    return THEMES.includes(localStorage.getItem("archbench-theme")) ? localStorage.getItem("archbench-theme") : "system";
  } catch {
    return "system";
  }
}

function show(theme) {
  document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
}

function startTheme() {
  show(kept());
  byId("theme").hidden = false;
  byId("theme").addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
    show(next);
    try {
      localStorage.setItem("archbench-theme", next);
    } catch {
      // for this visit, then
    }
  });
}

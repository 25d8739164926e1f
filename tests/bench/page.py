"""docs/performance.md from results/bench: `python tests/bench/page.py [FILE ...]`, of other files on standard output.

What a benchmark is about is the docstring of its script.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

from figures import FOLDER, SMOKE, Row, shown, table

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/performance.md"
SECTIONS = (
    "training", "training_cuda", "layers", "together", "comparison", "scale", "startup", "ratios", "sizing", "counters",
    "isolation", "store", "report",
)  # fmt: skip
HEAD = """# Performance

What `make bench` printed, written by `python tests/bench/page.py` from the files in `results/bench`. Each benchmark has
its own date and commit. Whoever is compared was measured side by side in one run; in brackets stands the interval of an
estimate, or the least and the most where the column says so. Nothing is asserted: goals are what is aimed at.
"""
NONE = "\nThere are no figures yet: `make bench` measures them.\n"


def about(section: str) -> str:
    """Return what a benchmark's script says of itself, without its command."""
    script = HERE / f"{section.removesuffix('_cuda')}.py"
    text = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))
    first, _, rest = text.partition("\n\n")
    title = first.partition(": `")[0].rstrip(".")
    return f"### {title[:1].upper()}{title[1:]}\n\n{rest.strip()}"


def goals_of(kept: dict[str, Row]) -> str:
    """Return every goal and whether it is met, what is missed first."""
    goals = [goal for section in SECTIONS for goal in kept.get(section, {}).get("goals", [])]
    missed = [goal for goal in goals if goal["verdict"] != "met"]
    words = f"{len(goals) - len(missed)} of {len(goals)} goals are met."
    if missed:
        words += " Missed or not measured:\n\n" + "\n".join(
            f"- {goal['what']}: {shown(goal['measured']) or 'not measured'}, and {goal['goal']} is aimed at"
            for goal in missed
        )
    return f"{words}\n\n{table(goals, 'pipe')}" if goals else "No goals were measured."


def section_of(section: str, of: Row) -> str:
    """Return one benchmark's part of a machine's page."""
    environment = {**of["environment"], **of["versions"]}
    named = ("torch", *of["versions"], "python")
    libraries = ", ".join(f"{name} {environment[name]}" for name in named)
    commit = (environment["commit"] or "unknown")[:7] + (" with changes" if environment["dirty"] else "")
    told = f"`{of['command']}`, {of['date'][:10]}, archbench at {commit}, {libraries}"
    tables = [f"**{title}**\n\n{table(rows, 'pipe')}" for title, rows in of["tables"].items() if rows]
    return "\n\n".join([about(section), told, *filter(None, [of.get("note")]), *tables])


def machine_of(name: str, kept: dict[str, Row]) -> str:
    """Return the page's part of one machine."""
    environment = next(iter(kept.values()))["environment"]
    memory = f", {environment['memory_bytes'] / 2**30:.0f} GiB" if environment["memory_bytes"] else ""
    card = f", {environment['gpu']}" if environment["gpu"] else ""
    head = f"## {name}\n\n{environment['cores']} cores of {environment['cpu']}{memory}{card}, {environment['os']}."
    return "\n\n".join([head, goals_of(kept), *(section_of(one, kept[one]) for one in SECTIONS if one in kept)])


def main() -> None:
    """Write the page."""
    files = [Path(name) for name in sys.argv[1:]]
    found = files or sorted(file for file in FOLDER.glob("*.json") if not file.stem.endswith(SMOKE))
    parts = [machine_of(file.stem, json.loads(file.read_text(encoding="utf-8"))) for file in found]
    text = HEAD + ("\n" + "\n\n".join(parts) + "\n" if parts else NONE)
    if files:
        print(text)
    else:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""A study run again: its comparison, its figures beside the published ones, the verdicts on its claims."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from archbench.claims import Finding, findings
from archbench.exports import write_csv
from archbench.files import write_bytes
from archbench.markup import markdown, markdown_table
from archbench.measures import COUNTED, Measures, is_share
from archbench.published import Figure, figures
from archbench.recipe_words import recipe_words
from archbench.reference import shown
from archbench.units import grouped, number
from archbench.words import summary_words

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from archbench.comparison import Comparison
    from archbench.schema import Study
    from archbench.study_schema import StudyFile
    from archbench.tuning import Tuning


@dataclass(frozen=True)
class Reproduction:
    """A study file, the comparison that came of it, and the search if it has one.

    Attributes:
        full: the file's study at its full scale, which its scale is held against.
    """

    file: StudyFile
    comparison: Comparison
    full: Study
    tuning: Tuning | None = None

    @cached_property
    def _measures(self) -> Measures:
        found = self.tuning.comparison.records if self.tuning else ()
        return Measures.of([*self.comparison.records, *found])

    @cached_property
    def figures(self) -> list[Figure]:
        """One published figure each, beside the measured one."""
        study, records = self.comparison.study, self.comparison.records
        baseline = study.baseline or (records[0].cell.model if records else "")
        return figures(self.file, self._measures, study.scale, baseline)

    @cached_property
    def findings(self) -> list[Finding]:
        """One claim each, with its verdict."""
        return findings(self.file.claims, self._measures)

    def published(self) -> pd.DataFrame:
        """Return one row a published figure: published, measured with its interval, difference, verdict."""
        import pandas as pd

        study = self.comparison.study
        columns = [
            "study", "scale", "model", "case", "epoch", "metric", "published", "measured", "low", "high", "n",
            "expected_low", "expected_high", "difference", "verdict", "reason", "source",
        ]  # fmt: skip
        rows = [
            (
                study.name, study.scale, f.model, f.case, f.epoch, f.metric, f.published,
                f.measured and f.measured.value, f.measured and f.measured.low, f.measured and f.measured.high,
                f.measured and f.measured.n, f.low, f.high, f.difference, f.verdict, f.reason, f.source,
            )
            for f in self.figures
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=columns).astype({"epoch": "Int64", "n": "Int64"})

    def claims(self) -> pd.DataFrame:
        """Return one row a claim: the sentence, the verdict, the figures that decide."""
        import pandas as pd

        rows = [(finding.text, finding.verdict, finding.figures) for finding in self.findings]
        return pd.DataFrame(rows, columns=["claim", "verdict", "figures"])

    def published_words(self) -> pd.DataFrame:
        """Return the figures as people read them."""
        import pandas as pd

        cases = any(figure.case for figure in self.figures)
        epochs = any(figure.epoch for figure in self.figures)
        return pd.DataFrame([
            {
                "model": shown(figure.model), **({"case": figure.case} if cases else {}),
                **({"epoch": "" if figure.epoch is None else str(figure.epoch)} if epochs else {}),
                "figure": figure.metric, "published": _word(figure.metric, figure.published),
                "measured": _measured(figure), "expected": _expected(figure),
                "difference": "" if figure.difference is None else _word(figure.metric, figure.difference, sign=True),
                "verdict": figure.verdict + (f": {figure.reason}" if figure.reason else ""),
            }
            for figure in self.figures
        ])  # fmt: skip

    def recipe(self) -> pd.DataFrame:
        """Return one row a setting: its value, and whether it is as published, assumed, or archbench's default."""
        return recipe_words(self.file, self.comparison.study, self.full)

    def verdicts(self) -> dict[str, int]:
        """Return how many figures and claims have each verdict."""
        counts: dict[str, int] = {}
        for verdict in (*(f.verdict for f in self.figures), *(f.verdict for f in self.findings)):
            counts[verdict] = counts.get(verdict, 0) + 1
        return counts

    def write(self, folder: Path | None = None) -> list[Path]:
        """Write published.csv, published.md and claims.csv, by default beside the store.

        Raises:
            OutputError: the folder cannot be written.
        """
        folder = folder or self.comparison.folder
        searched = [*self.tuning.write(folder), *self.tuning.comparison.write_tables()] if self.tuning else []
        if not (self.file.published or self.file.claims):
            return searched
        return [
            *searched,
            write_csv(self.published(), folder / "published.csv"),
            write_csv(self.claims(), folder / "claims.csv"),
            write_bytes(folder / "published.md", self.markdown().encode()),
        ]

    def markdown(self) -> str:
        """Return the figures and the claims as Markdown, with what they were measured on."""
        study, records = self.comparison.study, self.comparison.records
        about = getattr(self.file.scales, study.scale, None)
        lines = [f"# {markdown(self.file.title)}", "", f"Study {markdown(study.name)}, scale {study.scale}."]
        lines += [f"Scale: {markdown(about.about)}."] if about is not None and about.about else []
        lines += [f"Published by: {markdown(self.file.source)}."] if self.file.source else []
        lines += [self.file.about.strip()] if self.file.about else []
        if records:
            environment, cell = records[0].environment, records[0].cell
            lines += [
                f"Measured on {environment.cpu}, {environment.cores} cores"
                + (f", {environment.gpu}" if environment.gpu else "")
                + f"; torch {environment.torch}; {number(len(study.seeds), 'seed')}; trained on {cell.device}."
            ]
        for warning in dict.fromkeys(text for record in records for text in record.cell.warnings):
            lines += ["", f"**Warning: {markdown(warning)}.**"]
        lines += ["", "## Recipe", "", markdown_table(self.recipe())]
        if self.tuning:
            lines += ["", "## Search", "", "Best trial of each model, on the validation split:", ""]
            lines += [markdown_table(self.tuning.best_words())]
            lines += ["", "Trained anew with these settings, and tested once a seed:", ""]
            lines += [markdown_table(summary_words(self.tuning.comparison.summary()))]
        if self.findings:
            lines += ["", "## Claims", "", markdown_table(self.claims())]
        if self.figures:
            lines += ["", "## Published against measured", "", markdown_table(self.published_words())]
            lines += [
                "",
                (
                    "Measured: mean over seeds [95 % interval]. A figure agrees where one more run of ours is expected "
                    "to give it (95 % prediction interval, `expected`; of a single run, the binomial interval of two "
                    "test sets), a ratio where its interval holds it."
                ),
            ]
        return "\n".join(lines) + "\n"


def _word(metric: str, value: float, *, sign: bool = False) -> str:
    plus = "+" if sign else ""
    if metric in COUNTED:
        return f"{round(value):{plus},}" if sign else grouped(round(value))
    if metric.endswith("_ratio"):
        return f"{value:{plus}.2f}x"
    if is_share(metric):
        return f"{100 * value:{plus}.2f} %"
    return f"{value:{plus}.4g}"


def _expected(figure: Figure) -> str:
    """Return where one more run is expected, where that is what decides."""
    decides = figure.verdict in {"agrees", "differs"} and figure.metric not in COUNTED
    if not decides or figure.low is None or figure.high is None:
        return ""
    return f"[{_word(figure.metric, figure.low)}, {_word(figure.metric, figure.high)}]"


def _measured(figure: Figure) -> str:
    estimate = figure.measured
    if estimate is None:
        return ""
    text = _word(figure.metric, estimate.value)
    if estimate.low is None or estimate.high is None or estimate.low == estimate.high:
        return text
    return f"{text} [{_word(figure.metric, estimate.low)}, {_word(figure.metric, estimate.high)}]"

"""What a study came to: its records, and the frame, tables, figures and files that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from archbench.errors import InputError
from archbench.files import file_name, write_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from matplotlib.axes import Axes

    from archbench.conclusions import Conclusions
    from archbench.figures import Drawn, Wanted
    from archbench.schema import Record, Study


class Later(Sequence["Record"]):
    """Records that are made when one is asked for."""

    def __init__(self, make: Callable[[], tuple[Record, ...]]) -> None:
        """Take what makes them."""
        self._make = make

    @cached_property
    def _made(self) -> tuple[Record, ...]:
        return self._make()

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, place: int | slice) -> Record | tuple[Record, ...]:
        return self._made[place]

    def __len__(self) -> int:
        return len(self._made)


@dataclass(frozen=True)
class Comparison:
    """The records of a study.

    Attributes:
        study: what was asked for.
        records: one a cell that was run, in the study's order.
        folder: where they are stored.
        damaged: rows of the store that could not be read.
        made: the frame, where it was made without records.
    """

    study: Study
    records: Sequence[Record]
    folder: Path
    damaged: int = 0
    made: pd.DataFrame | None = None

    @property
    def complete(self) -> bool:
        """Whether there are runs and every one is done."""
        return bool(self.records) and all(record.status == "done" for record in self.records)

    @cached_property
    def _frame(self) -> pd.DataFrame:
        from archbench.frame import runs_frame

        return runs_frame(self.records) if self.made is None else self.made

    def frame(self) -> pd.DataFrame:
        """Return one row a run; see `archbench.frame` for the columns."""
        return self._frame.copy()

    def epochs(self) -> pd.DataFrame:
        """Return one row a run, epoch and split."""
        from archbench.frame import epochs_frame

        return epochs_frame(self.records)

    def summary(self) -> pd.DataFrame:
        """Return one row a model and budget: counts, times, and accuracy over the seeds with its interval."""
        from archbench.tables import summary

        return summary(self._frame)

    def overhead(self, baseline: str | None = None) -> pd.DataFrame:
        """Return the time-overhead table against a baseline, by default the study's.

        Raises:
            InputError: the baseline is not among the compared models.
        """
        from archbench.tables import overhead

        compared = {record.cell.model for record in self.records}
        if baseline is not None and baseline not in compared:
            msg = f"the baseline {baseline!r} is not among the compared models"
            raise InputError(msg, f"Name one of {', '.join(sorted(compared))}.")
        return overhead(self.records, baseline or self.study.baseline)

    def conclusions(self, baseline: str | None = None) -> Conclusions:
        """Return what can be said of it: pairs, crossings, fronts, fits, diagnoses, verdicts, and the answer.

        Args:
            baseline: what verdicts on time are against, by default the study's.

        Raises:
            InputError: the baseline is not among the compared models.
        """
        return self._conclusions if baseline is None else self._concluded(baseline)

    def pareto(self, *axes: str) -> pd.DataFrame:
        """Return a row a model and front: whether it is on it, and what dominates it (`Conclusions.pareto`).

        Args:
            axes: two or three of `accuracy`, `params`, `macs`, `step_us` and `memory`; by default the fronts that are
                concluded. Times are taken as measured, without their intervals.

        Raises:
            InputError: other axes.
        """
        from archbench.conclusions import pareto

        return pareto(self._frame, axes) if axes else self.conclusions().pareto

    @cached_property
    def _conclusions(self) -> Conclusions:
        return self._concluded(None)

    def _concluded(self, baseline: str | None) -> Conclusions:
        from archbench.conclusions import conclude
        from archbench.tables import timed_against
        from archbench.timing.estimate import resolutions

        told = resolutions(one.timing for one in timed_against(self.records))
        return conclude(self._frame, self.epochs(), self.overhead(baseline), told)

    def scatter(self, ax: Axes | None = None) -> Axes:
        """Draw parameters against test accuracy, on `ax` if one is given."""
        from archbench.figures import scatter

        return scatter(self._frame, ax)

    def curves(self, metric: str = "accuracy", ax: Axes | None = None) -> Axes:
        """Draw `loss` or `accuracy` by epoch, on `ax` if one is given."""
        from archbench.figures import curves

        return curves(self.epochs(), metric, ax)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the summary and the scatter."""
        from archbench.inline import results

        return results(self._frame, self.summary())

    def write_tables(self, folder: str | Path | None = None) -> list[Path]:
        """Write runs.csv, summary.csv, overhead.csv, overhead.md and what is concluded, by default beside the store.

        That is conclusions.md, and a CSV for each table of `archbench.conclusions.Conclusions` that has rows.

        Raises:
            OutputError: the folder cannot be written.
        """
        from archbench.exports import write_conclusions, write_csv
        from archbench.words import overhead_markdown

        overhead, conclusions = self.overhead(), self.conclusions()
        return [
            write_csv(self._frame, self._to(folder, "runs.csv")),
            write_csv(self.summary(), self._to(folder, "summary.csv")),
            write_csv(overhead, self._to(folder, "overhead.csv")),
            write_bytes(self._to(folder, "overhead.md"), overhead_markdown(overhead, self.records).encode()),
            *write_conclusions(conclusions, Path(folder or self.folder)),
        ]

    def draw(self, kind: str = "usual", **wanted: Any) -> list[Drawn]:
        """Return the figures of a kind, each with its data and its words.

        Args:
            kind: `scatter`, `curves`, `overhead`, `heatmap`, `batch`, `weights`; `usual` for those that every
                comparison writes, `all` for all that there is something to draw for.
            wanted: `x`, `y`, `hue` and `facet`, columns of the frame; `style`: `paper`, `slides` or `dark`; `width`:
                `column`, `text` or `full`.

        Raises:
            InputError: no such kind, an option that it does not take, a column that is not there, or nothing to draw.
        """
        from archbench.drawing import draw
        from archbench.figures import Wanted

        return draw(self, kind, Wanted(**wanted))

    def write_figures(
        self, folder: str | Path | None = None, kind: str = "usual", formats: Sequence[str] = (), **wanted: Any
    ) -> list[Path]:
        """Write figures and beside each its data as CSV: scatter.png, scatter.svg and curves.png by default.

        Args:
            folder: where, by default beside the store.
            kind: as for `draw`.
            formats: `png`, `svg`, `pdf`; by default those of the kind.
            wanted: as for `draw`.

        Raises:
            InputError: as `draw`.
            OutputError: the folder cannot be written.
        """
        from archbench.drawing import write

        return write(self.draw(kind, **wanted), Path(folder or self.folder), formats)

    def first_layers(self, wanted: Wanted | None = None) -> Iterator[Drawn]:
        """Yield a figure of the first layer of every model and case, where weights were kept: of its first seed.

        Args:
            wanted: `style` and `width`.
        """
        from archbench.execute import WEIGHTS_FOLDER, weights_file
        from archbench.plan import label
        from archbench.weight_figures import draw_weights, first_weights
        from zoo.weights import read_state

        drawn = set()
        for record in self.records:
            cell = record.cell
            name = label(cell.model, cell.budget, cell.case)
            file = weights_file(self.folder / WEIGHTS_FOLDER, cell)
            if name in drawn or cell.sized is None or not file.is_file():
                continue
            drawn.add(name)
            weights = first_weights(read_state(file), cell.sized.input_shape)
            if weights is not None:
                yield draw_weights(f"{WEIGHTS_FOLDER}/{file_name(name)}", name, weights, wanted)

    def _to(self, folder: str | Path | None, name: str) -> Path:
        return Path(folder or self.folder) / name

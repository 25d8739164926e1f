"""What a comparison came to -> figures by their kinds, each with its data and its words, and their files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from archbench.choices import choose
from archbench.errors import InputError
from archbench.exports import write_csv
from archbench.figures import (
    FORMATS,
    Wanted,
    batch_frame,
    draw_batches,
    draw_curves,
    draw_heat,
    draw_overhead,
    draw_scatter,
    save,
)  # fmt: skip
from archbench.figures.captions import data_words, lost_words, sentence
from archbench.figures.names import named, values_of
from archbench.files import write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import pandas as pd

    from archbench.figures import Concluded, Drawn
    from archbench.schema import Study

TAKES = {
    "scatter": ("x", "hue", "facet"), "curves": ("hue", "facet"), "overhead": (), "heatmap": ("x", "y", "facet"),
    "batch": (), "weights": (), "all": (), "usual": (),
}  # fmt: skip
KINDS = tuple(TAKES)
"""`usual` are those that every comparison writes, `all` are all that there is something to draw for."""
USUAL = {"scatter": ("png", "svg"), "curves": ("png",)}  # and their formats
COSTS = ("params", "macs", "train_us", "infer_us")  # that `all` draws scatters against


class Compared(Protocol):
    """What is drawn: the parts of `archbench.comparison.Comparison` that this needs."""

    @property
    def folder(self) -> Path:
        """Where it is stored."""

    @property
    def study(self) -> Study:
        """What was asked for."""

    def frame(self) -> pd.DataFrame:
        """Return one row a run."""

    def epochs(self) -> pd.DataFrame:
        """Return one row a run, epoch and split."""

    def overhead(self) -> pd.DataFrame:
        """Return the time-overhead table."""

    def conclusions(self) -> Concluded:
        """Return what can be said of it."""

    def first_layers(self, wanted: Wanted | None = None) -> Iterator[Drawn]:
        """Yield a figure of each first layer whose weights are kept."""


def check_wanted(kind: str, wanted: Wanted) -> None:
    """Refuse a kind that is none, and an option that it does not take.

    Raises:
        InputError: it names those that there are.
    """
    choose(kind, KINDS, "kind of figure or folder")
    _ = wanted.width_in
    for option in ("x", "y", "hue", "facet"):
        if getattr(wanted, option) is not None and option not in TAKES[kind]:
            takers = [one for one, options in TAKES.items() if option in options]
            msg = f"{kind} takes no --{option}"
            raise InputError(msg, f"Leave it out, or draw {' or '.join(takers)}.")


def draw(compared: Compared, kind: str, wanted: Wanted | None = None) -> list[Drawn]:
    """Return the figures of a kind.

    Raises:
        InputError: no such kind, an option that it does not take, a column that is not there, or nothing to draw.
    """
    wanted = wanted or Wanted()
    check_wanted(kind, wanted)
    if kind in {"all", "usual"}:
        return [*_several(compared, kind, wanted)]
    makers: dict[str, Callable[[], list[Drawn]]] = {
        "scatter": lambda: [_scatter(compared, wanted)],
        "curves": lambda: [_curves(compared, wanted)],
        "overhead": lambda: [_overhead(compared, wanted)],
        "heatmap": lambda: [draw_heat(compared.frame(), wanted)],
        "batch": lambda: [draw_batches(batch_frame(compared.frame()), _about(compared.frame()), wanted)],
        "weights": lambda: [*compared.first_layers(wanted)],
    }
    drawn = [_named(one, wanted) for one in makers[kind]()]
    if not drawn:
        msg = f"nothing to draw: {compared.folder} keeps no weights of first layers"
        raise InputError(msg, "A study keeps them with `keep_weights = true`.")
    return drawn


def _several(compared: Compared, kind: str, wanted: Wanted) -> Iterator[Drawn]:
    """Yield the usual figures, or all that there is something to draw for."""
    yield _named(_scatter(compared, wanted), wanted)
    yield _named(_curves(compared, wanted), wanted)
    yield from (_named(one, wanted) for one in compared.first_layers(wanted))
    if kind == "usual":
        return
    asked: list[tuple[str, Wanted]] = [("scatter", replace(wanted, x=cost)) for cost in COSTS[1:]]
    asked += [(one, wanted) for one in ("overhead", "heatmap", "batch")]
    for one, own in asked:
        try:
            yield from draw(compared, one, own)
        except InputError:  # such as a study without two factors
            continue


def _scatter(compared: Compared, wanted: Wanted) -> Drawn:
    frame = compared.frame()
    if wanted.x and not (frame["status"] == "done").any():
        msg = "nothing to draw: no run is done"
        raise InputError(msg, "`archbench results list` says what became of them.")
    published, note = published_points(compared, frame, wanted.x), published_note(compared.study)
    return draw_scatter(frame, wanted, published=published, concluded=compared.conclusions(), note=note)


def _curves(compared: Compared, wanted: Wanted) -> Drawn:
    frame, epochs = named(compared.frame()), compared.epochs()
    further = [column for column in frame.columns if column not in epochs.columns]
    about = frame[["key", "case", *further]].drop_duplicates(["key", "case"])
    hue = wanted.hue or "series"
    names = values_of(frame, hue) if hue in frame else ()
    return draw_curves(epochs.merge(about, on=["key", "case"], how="left"), wanted, names)


def _overhead(compared: Compared, wanted: Wanted) -> Drawn:
    frame = named(compared.frame())
    series = dict(zip(zip(frame["model"], frame["case"], strict=True), frame["series"], strict=True))
    return draw_overhead(compared.overhead(), wanted, _about(frame), series)


def _about(frame: pd.DataFrame) -> str:
    machines = ", ".join(dict.fromkeys(frame["device_name"].dropna()))
    return sentence(data_words(frame), machines, lost_words(frame))


def published_points(compared: Compared, frame: pd.DataFrame, x: str | None = None) -> pd.DataFrame | None:
    """Return the published accuracies of a study's models at the cost of ours, from published.csv beside the store.

    Those alone that can be held against a test accuracy after the last epoch: what was taken on other images is not.
    """
    import pandas as pd

    from archbench.figures.quantities import number_column

    file = compared.folder / "published.csv"
    if not compared.study.name or not file.is_file():
        return None
    known = pd.read_csv(file, dtype={"model": str, "case": str}, keep_default_na=False)
    known = known[(known["metric"] == "test_accuracy") & (known["study"] == compared.study.name)]
    if not len(known):
        return None
    column = number_column(frame, x, "--x") if x else "params"
    ours = named(frame).drop_duplicates(["model", "case"])[["model", "case", "series", column, "dataset"]]
    found = known[["model", "case", "published", "source"]].merge(ours, on=["model", "case"])
    return found.rename(columns={"published": "test_accuracy"}).dropna(subset=[column])


def published_note(study: Study) -> str:
    """Return what must be said behind the published points of a study that was made smaller than they were."""
    return "" if study.scale in {"", "full"} else f", where more was trained than at the scale {study.scale}"


def _named(drawn: Drawn, wanted: Wanted) -> Drawn:
    """Return a figure named after how it was asked for, so that none is written over another."""
    parts = [drawn.name]
    if drawn.name == "heatmap" and (wanted.x or wanted.y):
        parts += [one for one in (wanted.x, wanted.y) if one]
    parts += [f"by-{wanted.hue}"] if wanted.hue else []
    parts += [f"per-{wanted.facet}"] if wanted.facet else []
    parts += [wanted.style] if wanted.style != "paper" and drawn.style == wanted.style else []
    parts += [wanted.width] if wanted.width != "full" else []
    return replace(drawn, name="-".join(parts))


def write(drawn: Sequence[Drawn], folder: Path, formats: Sequence[str] = ()) -> list[Path]:
    """Write figures, each with its data as CSV beside it; return the files.

    Args:
        drawn: the figures.
        folder: where.
        formats: `png`, `svg`, `pdf`; by default those that a comparison writes, PNG of the others.

    Raises:
        OutputError: a file cannot be written.
    """
    files = []
    for one in drawn:
        suffixes = formats or USUAL.get(one.name, FORMATS[:1])
        files += [write_file(folder / f"{one.name}.{suffix}", _saver(one)) for suffix in suffixes]
        if len(one.data.columns):
            files.append(write_csv(one.data, folder / f"{one.name}.csv"))
    return files


def _saver(drawn: Drawn) -> Callable[[Path], Any]:
    return lambda path: save(
        drawn.figure, path, style=drawn.style, title=drawn.title, description=drawn.description
    )  # fmt: skip

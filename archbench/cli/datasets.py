"""`datasets list|show|check|prepare`: what there is to train on, how it looks, and whether it can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from archbench.cli import options as o
from archbench.cli.sharing import sharing, source, steps, view
from archbench.cli.show import json_rows, out, print_json, print_table, results_only

app = typer.Typer(
    help="List the data sets, show their images, check them, or prepare them.", invoke_without_command=True
)

Name = Annotated[
    str, typer.Argument(help="A data set: mnist, captcha\\[difficulty=2], folder:PATH, npz:PATH.", metavar="DATASET")
]
Images = Annotated[int, typer.Option("--images", "-n", help="How many to show.", min=1, max=400)]
Seed = Annotated[int, typer.Option("--seed", help="Which ones to show.", min=0)]
Split = Annotated[str, typer.Option("--of", help="Whose images: train, validation or test.")]
SheetFile = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="A file of .png, .svg or .pdf.", metavar="FILE", show_default="DATASET.png"),
]
Expected = Annotated[
    int | None, typer.Option("--classes", help="Fail unless there are so many classes.", min=1, show_default="any")
]
Near = Annotated[
    float,
    typer.Option("--near", help="Largest difference of near duplicates, levels of 255 (RMS); 0 does not look.", min=0),
]


@app.callback()
def _list(
    context: typer.Context, data_root: o.DataRoot = None, as_json: o.AsJson = False, debug: o.Debug = False
) -> None:
    if context.invoked_subcommand is None:
        results_only(list_)(data_root, as_json)
    elif data_root is not None or as_json:
        from archbench.errors import InputError

        command = f"archbench datasets {context.invoked_subcommand}"
        msg = f"options of {command} stand before its name"
        raise InputError(msg, f"Write {command} and what belongs to it behind.")


def list_(data_root: o.DataRoot = None, as_json: o.AsJson = False, debug: o.Debug = False) -> None:
    """List the data sets, and which of them are there."""
    from archbench.catalog import datasets as listed
    from archbench.model_words import datasets_words

    rows = listed(data_root)
    if as_json:
        print_json(rows)
        return
    print_table(datasets_words(rows))
    for row in rows:
        if row.problem:
            out.print(f"{row.dataset} is not there: {row.problem}. {row.remedy}")


@sharing(source, steps, view)
def show(
    name: Name,
    images: Images = 24,
    of: Split = "train",
    seed: Seed = 0,
    file: SheetFile = None,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
    *,
    data_root: Path | None,
    download: bool,
    preprocess: str,
    **seen: Any,
) -> None:
    """Draw images of a data set with their labels; with --preprocess, before and after."""
    from archbench.data import SPLITS, load_dataset
    from archbench.errors import InputError
    from archbench.figures import save
    from archbench.files import write_file
    from archbench.settings import make_view
    from archbench.sheets import sheet

    if of not in SPLITS:
        msg = f"there is no split {of!r}"
        raise InputError(msg, f"Give one of {', '.join(SPLITS)}.")
    _, _, place = name.partition(":")
    file = file or Path(f"{Path(place).resolve().name if place else name}.png")
    if file.suffix.lower() not in {".png", ".svg", ".pdf"}:
        msg = f"{file} is no picture's name"
        raise InputError(msg, "Give a file of .png, .svg or .pdf.")
    chains = [chain for chain in _chains(preprocess) if chain]
    dataset = load_dataset(name, data_root, download=download, view=make_view(**seen))
    figure = sheet(dataset, of, images, chains, seed)
    write_file(file, lambda path: save(figure, path))
    if as_json:
        print_json({"file": str(file), "source": dataset.source, "warnings": dataset.warnings})
        return
    for line in (dataset.source, *(f"warning: {text}" for text in dataset.warnings), f"Written: {file}"):
        out.print(line)


@sharing(source, steps, view)
def check(
    name: Name,
    classes: Expected = None,
    near: Near = 3.0,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
    *,
    data_root: Path | None,
    download: bool,
    **seen: Any,
) -> None:
    """Look for constant and duplicate images, conflicting labels, and test images that are also trained on.

    The images are looked at as they come, then the splits that they are used in.
    """
    from archbench.data import load_parts
    from archbench.data.audit import audit
    from archbench.data.views import only, without
    from archbench.data.views import seen as used
    from archbench.data_words import audit_words, splits_words, used_words
    from archbench.errors import DataError
    from archbench.settings import make_view

    view = make_view(**seen)
    whole = load_parts(name, data_root, download=download, view=view)
    if classes is not None and len(whole.classes) != classes:
        msg = f"{name} has {len(whole.classes)} classes, not {classes}: {', '.join(whole.classes[:20])}"
        raise DataError(msg, "Mend the folder, or leave --classes out.")
    parts, notes = without(name, only(name, whole, view.only), view.exclude)
    found = audit(parts.images, parts.labels, parts.classes, near=near)
    dataset = used(name, whole, view)
    if as_json:
        splits = {"source": dataset.source, "images": dataset.counts, "warnings": dataset.warnings}
        print_json({"dataset": name, "source": parts.source, "excluded": notes, **_plain(found), "used": splits})
        return
    print_table(splits_words(found), f"{name}: {parts.source}")
    out.print()
    for line in [*notes, *audit_words(found), *used_words(dataset)]:
        out.print(line)


@sharing(source, steps, view)
def prepare(
    name: Name,
    as_json: o.AsJson = False,
    debug: o.Debug = False,
    *,
    data_root: Path | None,
    download: bool,
    preprocess: str,
    **seen: Any,
) -> None:
    """Download, generate and pre-process a data set once, so that later runs find it done."""
    import pandas as pd

    from archbench.data import load_dataset
    from archbench.data.cache import check_cache
    from archbench.data.preprocess import steps_text
    from archbench.settings import make_view
    from archbench.units import grouped, shape

    cache = check_cache()
    rows = []
    for chain in _chains(preprocess) or [()]:
        shown = make_view(**seen, preprocess=chain)
        dataset = load_dataset(name, data_root, download=download, view=shown)
        rows.append({
            "dataset": dataset.name, "preprocess": steps_text(chain), "input": shape(dataset.input_shape),
            "classes": len(dataset.classes), "positions": dataset.positions, **dict(zip(
                ("train", "validation", "test"), dataset.counts, strict=True)),
            "sha256": dataset.sha256, "source": dataset.source, "warnings": "; ".join(dataset.warnings),
        })  # fmt: skip
    frame = pd.DataFrame(rows)
    if as_json:
        print_json(json_rows(frame))
        return
    words = frame.drop(columns=["source", "warnings", "positions"]).assign(sha256=frame["sha256"].str[:12])
    for split_name in ("train", "validation", "test"):
        words[split_name] = [grouped(count) for count in frame[split_name]]
    print_table(words.astype(str))
    for text in dict.fromkeys([*frame["source"], *(f"warning: {w}" for w in frame["warnings"] if w)]):
        out.print(text)
    out.print(f"What is generated or pre-processed is kept in {cache}")


def _chains(preprocess: str) -> list[tuple[str, ...]]:
    """Return the chains that are separated by commas, each once."""
    from archbench.data.preprocess import parse_steps

    return list(dict.fromkeys(parse_steps(chain) for chain in preprocess.split(",") if chain.strip()))


def _plain(found: Any) -> dict[str, Any]:
    import msgspec

    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain


app.command("list")(results_only(list_))
app.command("show")(results_only(show))
app.command("check")(results_only(check))
app.command("prepare")(results_only(prepare))

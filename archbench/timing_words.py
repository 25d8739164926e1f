"""Timings as people read them: the table of `archbench time`, and what must be known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archbench.timed import flips
from archbench.timing.doubts import doubts, ratio_doubts
from archbench.timing.estimate import resolution, resolutions, twin_ratio
from archbench.units import either, micros, number, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from archbench.schema import Device, Environment, Peaks, Timing
    from archbench.timed import Named, Timed
    from archbench.timing.peaks import Format

ALLOCATORS = {"kept": "kept between steps", "system": "handed back as the system does"}
SHOWN = {"batch_size": "batch {}", "threads": "{} threads"}
VARIED = ("device", "threads", "batch_size", "mode", "engine")  # shown where a table has several


def time_words(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame of `archbench.timed.Timed` as people read it, narrow enough for a terminal."""
    import pandas as pd

    plain = frame.astype(object).where(frame.notna(), None)
    rows: list[dict[str, Any]] = [dict(zip(plain.columns, row, strict=True)) for row in plain.itertuples(index=False)]
    shown = _varied(frame)
    ordered = sorted(rows, key=lambda row: [frame[name].unique().tolist().index(row[name]) for name in shown])
    return pd.DataFrame([
        {"model": row["model"], **{name.replace("_size", ""): str(row[name]) for name in shown}, **_figures(row)}
        for row in ordered
    ]).pipe(_without_empty)  # fmt: skip


def _figures(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "µs/step": _with_width(row), "least": micros(row["least_us"]), "µs/sample": micros(row["us_per_sample"]),
        "ratio": "1" if row["is_baseline"] else ratio(row["ratio"], row["ratio_low"], row["ratio_high"]),
        "verdict": _verdict(row),
        "GFLOP/s": "" if row["gflops_achieved"] is None else f"{row['gflops_achieved']:.3g}",
        "of limit": "" if row["roofline"] is None else f"{100 * row['roofline']:.0f} % of {row['bound_by']}",
        "data, µs": micros(row["data_us"]),
        "compile": "" if row["compile_s"] is None else f"{row['compile_s']:.1f} s",
        "stable": "yes" if row["unstable"] is None else "no",
    }  # fmt: skip


def _with_width(row: Mapping[str, Any]) -> str:
    """Return the time of a step and half its interval as a percentage of it."""
    low, high = row["step_us_low"], row["step_us_high"]
    width = "" if low is None else f" ± {50 * (high - low) / row['step_us']:.1f} %"
    return micros(row["step_us"]) + width


def _verdict(row: Mapping[str, Any]) -> str:
    if row["is_baseline"] or row["ratio"] is None:
        said = ""
    elif row["tie"] is None:
        said = "not resolved"
    else:
        said = "tie" if row["tie"] else "slower" if row["ratio"] > 1 else "faster"
    return " ".join([said, *(["launch-bound"] if row["launch_bound"] else [])]).strip()


def _without_empty(words: pd.DataFrame) -> pd.DataFrame:
    return words.loc[:, [column for column in words.columns if (words[column] != "").any()]]


def timed_notes(timed: Timed) -> list[str]:
    """Return what stands under the table: flips of the ranking, what can be told apart, why timings are unstable."""
    return _ranking_notes(timed.frame()) + doubt_notes(timed.named())


def _ranking_notes(frame: pd.DataFrame) -> list[str]:
    """Say for every model and mode of a sweep over batch sizes where its ranking against the baseline changes."""
    notes = []
    others = frame[~frame["is_baseline"] & frame["ratio"].notna()]
    places = ["device", "threads", "mode", "engine", "model"]
    for (device, threads, mode, engine, model), group in others.groupby(places, sort=False):
        sizes = sorted(set(group["batch_size"]))
        if len(sizes) < 2:
            continue
        how = "" if engine == "eager" else f" ({engine})"
        where = f"{mode}{how} on {device}, {number(int(str(threads)), 'thread')}"
        resolved = sorted(group.loc[group["ratio_low"].notna() & ~group["tie"].astype(bool), "batch_size"])
        found = flips(group)
        notes += [
            f"{where}: {flip.faster_below} is faster at batch {flip.below}, {flip.faster_above} at batch {flip.above}."
            for flip in found
        ]
        against = f"{where}: {model} against {group['baseline'].iloc[0]}"
        if len(resolved) < 2:
            notes.append(f"{against}: whether the rank changes is not resolved.")
        elif not found:
            told = ", ".join(map(str, resolved))
            notes.append(f"{against}: the same rank at every batch where it is resolved ({told}).")
    return notes


def _varied(frame: pd.DataFrame) -> list[str]:
    """Return what tells rows of one model from each other: the mode, and what a table has several of."""
    return [name for name in VARIED if name == "mode" or len(set(frame[name])) > 1]


def doubt_notes(timings: Sequence[Named]) -> list[str]:
    """Return the least difference that the timings' sessions could tell, and each reason for doubt with its remedy.

    A reason stands once, with all whom it holds of.
    """
    varied = [name for name in VARIED if name == "mode" or len({getattr(one.timing, name) for one in timings}) > 1]
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name, timing, baseline in timings:
        who = " ".join([name, *(SHOWN.get(what, "{}").format(getattr(timing, what)) for what in varied)])
        own = doubts(timing) if baseline is None else ratio_doubts(timing, baseline)
        for doubt in own:
            if doubt in doubts(timing) or doubt not in doubts(baseline or timing):  # the baseline's own stand by it
                found.setdefault((doubt.what, doubt.remedy), {})[who] = doubt.much
    notes = list(_told_apart([one.timing for one in timings]))
    for (what, remedy), much in found.items():
        of_all = len(much) == len(timings) > 1 and len(set(much.values())) == 1
        whom = ", ".join(f"{who} {one}".strip() for who, one in much.items())
        if of_all:
            whom = f"all: {next(iter(much.values()))}" if any(much.values()) else "all"
        notes.append(f"Unstable: {what} ({whom}): {remedy}.")
    return notes


def _told_apart(timings: Sequence[Timing]) -> Iterator[str]:
    several = len({timing.device for timing in timings}) > 1
    least = resolutions(timings)
    if least:
        told = " and ".join(
            f"{100 * share:.1f} % ({mode}{f' on {device}' if several else ''})"
            for (mode, device), share in least.items()
        )
        yield f"A against A, timed beside the others, differs by up to {told}: less is not resolved here."


def setting_words(timed: Timed) -> str:
    """Return in a line how and on what it was timed; what differs between sessions is said of all of them."""
    timings = timed.timings
    rounds = sorted({len(one.samples_us) for one in timings})
    return "; ".join([
        ", ".join([
            either(one.precision for one in timings),
            either(
                number(one.threads, "thread") + (f" on core {'+'.join(map(str, one.cores))}" if one.cores else "")
                for one in timings
            ),
            either(_processes(one) for one in timings),
            number(rounds[0], "round") if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]} rounds",
            f"memory {either(ALLOCATORS[one.allocator] for one in timings)}",
        ]),
        either(one.device_name for one in timings),
        f"torch {timings[0].torch}",
        *dict.fromkeys(peaks_text(one.peaks) for one in timings if one.peaks is not None),
    ])  # fmt: skip


def _processes(timing: Timing) -> str:
    count = len(set(timing.processes)) or 1
    return "1 process" if count == 1 else f"{count} processes"


def peaks_text(peaks: Peaks) -> str:
    """Return the most that a device does in words."""
    return f"peak {peaks.flops_per_s / 1e9:.3g} GFLOP/s, copy {peaks.bytes_per_s / 1e9:.3g} GB/s"


def self_test_words(timed: Timed) -> pd.DataFrame:
    """Return A against A by mode: the ratio, whether its interval holds 1, what can be told."""
    import pandas as pd

    varied = [name for name in VARIED if name == "mode" or len({getattr(one, name) for one in timed.timings}) > 1]
    rows = []
    for timing in timed.timings:
        found, least = twin_ratio(timing), resolution(timing)
        if found is not None:
            rows.append({
                **{name.replace("_size", ""): str(getattr(timing, name)) for name in varied},
                "A against A": ratio4(found.value, found.low, found.high),
                "holds 1": {True: "yes", False: "no", None: "no interval"}[found.contains(1.0)],
                "resolves": "" if least is None else f"{100 * least:.2f} %",
            })  # fmt: skip
    return pd.DataFrame(rows)


def ratio4(value: float, low: float | None, high: float | None) -> str:
    """Return a ratio near 1 in four decimals, with its interval where there is one."""
    return f"{value:.4f}x" + ("" if low is None or high is None else f" [{low:.4f}, {high:.4f}]")


def doctor_words(environment: Environment, peaks: Mapping[tuple[Device, Format, int], Peaks]) -> pd.DataFrame:
    """Return what a machine does at most, by device, precision and threads, as people read it."""
    import pandas as pd

    names = {"cpu": environment.cpu, "cuda": environment.gpu or ""}
    return pd.DataFrame([
        {
            "device": device, "processor": names[device], "precision": precision,
            "threads": str(threads) if device == "cpu" else "", "GFLOP/s": f"{found.flops_per_s / 1e9:,.1f}",
            "copy, GB/s": f"{found.bytes_per_s / 1e9:,.1f}",
        }
        for (device, precision, threads), found in peaks.items()
    ])  # fmt: skip

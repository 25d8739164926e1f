"""Models of a report -> their layer tables, worked out anew from what they are built of: nothing is trained for it.

Where torch is not there yet, a process of its own does it beside the rest of the report: importing torch alone takes
seconds.
"""

from __future__ import annotations

import math
import shlex
import subprocess
import sys
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from archbench.errors import ArchbenchError
from archbench.plan import label
from archbench.schema import SizedModel
from archbench.units import shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from archbench.cost.layers import Layer
    from archbench.schema import Record

    Table = dict[str, Any]  # head and rows, or why there are none
    Layers = Callable[[], tuple[list[Table], list[dict[str, Any]]]]  # waits for the tables, and which is whose

MOST = 24  # networks whose layers are shown: each takes 1 to 50 ms
LARGE = 2_000_000  # parameters from which a network is not given memory, which takes longer for small ones
LIBRARIES = {"torchvision", "timm"}
PROGRAM = "from archbench.reporting.layers import answer; answer()"
LAST_S = 120  # that the process has
ABROAD = "Its layers are shown by the command, which imports the module that it comes from."
LEFT_OUT = f"The layers of {MOST} networks are shown; those of this one the command shows."


@contextmanager
def layers_ahead(firsts: Sequence[Record]) -> Iterator[Layers]:
    """Begin with the layer tables of models, and give what waits for them; at the end no process is left.

    That gives the tables of distinct networks, and of every model which one is its own, or why it has none.

    Args:
        firsts: a run of every model.
    """
    networks = {sized.key: sized for record in firsts if (sized := record.cell.sized) and not _is_foreign(sized)}
    shown = list(networks.values())[:MOST]
    apart = bool(shown) and "torch" not in sys.modules
    with _elsewhere(shown) if apart else nullcontext(lambda: tables_of(shown)) as waiting:

        def ended() -> tuple[list[Table], list[dict[str, Any]]]:
            found = dict(zip([sized.key for sized in shown], waiting(), strict=True))
            places = {key: place for place, key in enumerate(key for key, table in found.items() if "rows" in table)}
            of_model = [_of_model(record, found, places) for record in firsts]
            return [found[key] for key in places], of_model

        yield ended


def _of_model(record: Record, found: dict[str, Table], places: dict[str, int]) -> dict[str, Any]:
    sized = record.cell.sized
    if sized is None:
        return {"why": record.cell.problem or record.error or "It could not be built."}
    name = shlex.quote(label(record.cell.model, record.cell.budget))
    command = f"archbench show {name} --input {shape(sized.input_shape)} --classes {sized.classes}"
    if sized.key in places:
        return {"command": command, "layers": places[sized.key]}
    if sized.key in found:
        return {"command": command, **found[sized.key]}
    return {"command": command, "why": ABROAD if _is_foreign(sized) else LEFT_OUT}


def _is_foreign(sized: SizedModel) -> bool:
    """Whether a model is a module's attribute: a report runs no code of whoever wrote the results."""
    prefix, colon, _ = sized.model.partition(":")
    return bool(colon) and prefix not in LIBRARIES


@contextmanager
def _elsewhere(networks: Sequence[SizedModel]) -> Iterator[Callable[[], list[Table]]]:
    """Have the tables made by a process of its own; where it cannot be started or fails, by this one."""
    process = _started(networks)
    if process is None:
        yield lambda: tables_of(networks)
        return

    def ended() -> list[Table]:
        try:
            out, _ = process.communicate(timeout=LAST_S)
            return msgspec.json.decode(out, type=list[dict[str, Any]])
        except (subprocess.TimeoutExpired, msgspec.DecodeError):
            return tables_of(networks)

    with process:  # waits for its end
        try:
            yield ended
        finally:
            process.kill()


def _started(networks: Sequence[SizedModel]) -> subprocess.Popen[bytes] | None:
    """Return the process, told what to make; None where this machine has no room for one."""
    try:
        # -P: what lies in the folder where the user stands is no module of ours.
        process = subprocess.Popen(  # noqa: S603 - fixed words
            [sys.executable, "-P", "-c", PROGRAM],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError:
        return None
    assert process.stdin is not None  # noqa: S101 - as asked for
    with suppress(BrokenPipeError):  # it has ended: that is seen where its answer is read
        process.stdin.write(msgspec.json.encode(networks))
    with suppress(BrokenPipeError):  # what is left is written
        process.stdin.close()
    process.stdin = None
    return process


def answer() -> None:
    """Read networks from standard input, and write their layer tables to standard output."""
    networks = msgspec.json.decode(sys.stdin.buffer.read(), type=list[SizedModel])
    sys.stdout.buffer.write(msgspec.json.encode(tables_of(networks)))


def tables_of(networks: Sequence[SizedModel]) -> list[Table]:
    """Return the layers of networks as people read them, or why they cannot be shown."""
    if not networks:
        return []
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for one small image threads take longer to meet than to work
    try:
        return [_table(sized) for sized in networks]
    finally:
        torch.set_num_threads(threads)


def _table(sized: SizedModel) -> Table:
    from archbench.cost.layers import totals_of
    from archbench.model_words import layers_words

    try:
        layers = _layers(sized)
    except ArchbenchError as error:
        return {"why": f"Its layers cannot be shown here: {error}"}
    if totals_of(layers).params != sized.params:
        return {"why": "It is built otherwise now than when it was measured."}
    words = layers_words(layers)
    return {"head": list(words.columns), "rows": words.to_numpy().tolist()}


def _layers(sized: SizedModel) -> list[Layer]:
    """Return the layers of a network; a small one runs for real, with whatever lies in its memory as weights."""
    import torch

    import zoo
    from archbench.budget import build_model
    from archbench.cost.layers import layer_table, run_layers

    if sized.params < LARGE and math.prod(sized.input_shape) < LARGE // 100:
        try:
            with zoo.skeletons("cpu"):
                net = build_model(sized)
            with torch.no_grad():
                return run_layers(net, torch.zeros(1, *sized.input_shape))
        except Exception:  # noqa: BLE001 - what does not run so is run with care below, and speaks for itself there
            return layer_table(sized)
    return layer_table(sized)

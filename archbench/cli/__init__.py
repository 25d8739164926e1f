"""The command line: parse, call one library function, print. Here alone errors become a line and an exit code."""

from __future__ import annotations

import atexit
import gc
import shlex
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer

from archbench.cli import compare, cost, datasets, drawn, models, report, results, resume, streams, studies, time, tune
from archbench.cli.options import Debug, state
from archbench.cli.show import err, results_only
from archbench.collection import collect_seldom
from archbench.errors import ArchbenchError, Interrupted, reason

app = typer.Typer(
    name="archbench",
    help="Compare neural-network architectures at equal parameters: accuracy, cost and time.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("compare")(results_only(compare.compare))
app.command("train")(results_only(compare.train))
app.command("list")(results_only(models.list_))
app.command("show")(results_only(models.show))
app.command("cost")(results_only(cost.cost))
app.command("time")(results_only(time.time))
app.command("plot")(results_only(drawn.plot))
app.command("export")(results_only(drawn.export))
app.command("best")(results_only(drawn.best))
app.command("report", cls=report.Reporting)(results_only(report.report))
app.command("resume")(results_only(resume.resume))
results.app.command("list")(results_only(results.list_))
results.app.command("show")(results_only(results.show))
results.app.command("export")(results_only(drawn.export))
results.app.command("verify")(results_only(results.verify))
results.app.command("merge")(results_only(results.merge))
results.app.command("gc")(results_only(results.gc))
app.add_typer(results.app, name="results")
app.add_typer(datasets.app, name="datasets")
app.command("run")(results_only(studies.run))
app.command("reproduce")(results_only(studies.reproduce))
app.command("studies")(results_only(studies.studies))
app.command("tune")(results_only(tune.tune))
app.command("doctor")(results_only(time.doctor))


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        sys.stdout.write(f"archbench {version('archbench')}\n")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
    debug: Debug = False,
) -> None:
    pass


def _terminated(number: int, _: object) -> NoReturn:
    raise KeyboardInterrupt(number)


def main() -> None:
    """Run the command line; the entry point of the `archbench` script."""
    streams.last()
    collect_seldom()
    atexit.register(gc.freeze)  # what is left then goes with the process: to look through it took a tenth of --help
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminated)
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except ArchbenchError as error:
        if state.debug:
            raise
        err.print(_sentence(f"{'' if isinstance(error, Interrupted) else 'error: '}{error}", error.remedy))
        if isinstance(error, Interrupted):
            err.print(shlex.join(["archbench", *sys.argv[1:]]))
        sys.exit(error.exit_code)
    except Exception as error:
        # What the parser refuses; its class is another from one release of typer to the next.
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):
            _refused(error)
        if state.debug:
            raise
        err.print(f"error: {reason(error)}. A fault of archbench: --debug shows where; please report it.")
        sys.exit(1)


def _refused(error: Any) -> NoReturn:
    """Say in one line what of the command line is not accepted; without any words the help is the answer."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        where = context.command_path if context is not None else "archbench"
        err.print(_sentence(f"error: {error.format_message()}", f"`{where} --help` shows what there is."))
    sys.exit(error.exit_code)


def _sentence(message: str, remedy: str) -> str:
    if not remedy:
        return message
    return f"{message}{'' if message.endswith(('.', '?', '!')) else '.'} {remedy}"

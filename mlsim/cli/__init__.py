"""Command line: read, call, write; no physics.

Each command imports what it needs when it runs, so that `mlsim --help` answers at once. A fault that the user can
mend is one line on standard error and exit code 2; an interrupted run is exit code 75.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from mlsim import __version__
from mlsim.cli.analysis import topology
from mlsim.cli.batch import md_batch
from mlsim.cli.campaign import campaign, collect
from mlsim.cli.compare import compare
from mlsim.cli.crystal import crystal
from mlsim.cli.fit_curve import fit_curve
from mlsim.cli.mechanism import mechanism, vibrations
from mlsim.cli.outside import convert_trajectory, lammps
from mlsim.cli.pipeline import md, pack, quench
from mlsim.cli.report import report
from mlsim.cli.rmc import rmc
from mlsim.cli.run import quench_series, run
from mlsim.cli.scattering import convert, identify, scatter
from mlsim.cli.transport import transport
from mlsim.errors import Interrupted, MlsimError

__all__ = ["app", "main"]

app = typer.Typer(
    name="mlsim",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command, about in (
    (run, "The whole job: formula to a table beside published values, and a report."),
    (pack, "Random packing of a composition."),
    (quench, "Melt and quench a structure."),
    (md, "Molecular dynamics of a structure at one temperature."),
    (md_batch, "Molecular dynamics of several structures at several temperatures, batched on one GPU."),
    (quench_series, "The glasses of a study at several quench rates, and what changes with the rate."),
    (scatter, "S(Q) or G_PDF(r) of structures, X-ray or neutron."),
    (identify, "Which function and normalisation a measured file holds."),
    (convert, "One function of total scattering as another."),
    (fit_curve, "Structures beside a measured curve: Rw, fitted nuisance parameters, figure."),
    (topology, "Coordination, links and anion surroundings of structures."),
    (rmc, "Fit structures to measured S(Q) and G(r) by reverse Monte Carlo, with error bars."),
    (transport, "Diffusivity, conductivity and activation energy from trajectories."),
    (compare, "Two studies, or a study and published values, side by side with the significance of each difference."),
    (mechanism, "How ions move: hops, residence, anions met, mobility by surroundings, channels."),
    (vibrations, "Vibrational density of states and attempt frequency, from trajectories or phonons."),
    (convert_trajectory, "A trajectory in another format."),
    (lammps, "Input of LAMMPS for a schedule."),
    (report, "Report of a run or of a series: HTML, Markdown, figures for papers."),
    (campaign, "A whole series: systems, glasses and temperatures, with Snakemake."),
    (collect, "Results of a campaign put together, finished or not."),
    (crystal, "A crystal relaxed with a potential."),
):
    app.command(short_help=about)(command)
if importlib.util.find_spec("mlsim.cli.potential") is not None:
    app.add_typer(importlib.import_module("mlsim.cli.potential").app, name="potential")

# options that take several values after one name, and what such a value looks like
_SEVERAL = {
    "--temperature-K": re.compile(r"\d+(\.\d*)?"),
    "--rate-K-per-ps": re.compile(r"\d+(\.\d*)?"),
    "--quench": re.compile(r".*\.csv"),
    "--cutoff": re.compile(r"[A-Z][a-z]?-[A-Z][a-z]?=.*"),
    "--vary": re.compile(r"[a-z_]+(=[\d.:]+)?"),
    "--min-distance": re.compile(r"[A-Z][a-z]?-[A-Z][a-z]?=.*"),
    "--coordination": re.compile(r"[A-Z][a-z]?-[A-Z][a-z]?=.*"),
    "--swap": re.compile(r"[A-Z][a-z]?-[A-Z][a-z]?"),
}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mlsim {__version__}")
        raise typer.Exit


@app.callback()
def mlsim(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Amorphous solid electrolytes: from a formula to structure, scattering and lithium transport, beside experiment.

    `mlsim run` does the whole job for Li3ZrCl4O1.5; the other commands are its single steps.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    before, warnings.formatwarning = warnings.formatwarning, _warning_line
    try:
        code = _exit_code(list(sys.argv[1:] if arguments is None else arguments))
    finally:
        warnings.formatwarning = before
    sys.exit(code)


def _warning_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Return a warning as people read it: one line, without the place in the source."""
    return f"warning: {' '.join(str(message).split())}\n"


def _exit_code(arguments: list[str]) -> int:
    try:
        code = app(args=_spread(arguments), prog_name="mlsim", standalone_mode=False)
    except Interrupted as error:
        sys.stderr.write(f"interrupted: {error}\n")
        return error.exit_code
    except MlsimError as error:
        return _fault(str(error), error.exit_code)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()  # whoever read our output has gone; nobody is left to tell
            return 1
        where = f"{error.filename}: " if error.filename else ""
        return _fault(f"{where}{error.strerror or error}", 2)
    except Exception as error:
        if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # usage error of click
            command = getattr(getattr(error, "ctx", None), "command_path", "mlsim")
            message = " ".join(str(error.format_message()).split()).rstrip(".")
            return _fault(f"{command}: {message}; see '{command} --help'", int(error.exit_code))
        if type(error).__name__ == "Abort":
            return _fault("stopped", 130)
        raise
    return code if isinstance(code, int) else 0


def _fault(message: str, code: int) -> int:
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    return code


def _spread(arguments: list[str]) -> list[str]:
    """Turn `--temperature-K 600 700` into `--temperature-K 600 --temperature-K 700`.

    Examples
    --------
    >>> _spread(["a.h5", "--temperature-K", "600", "700", "-o", "x.json"])
    ['a.h5', '--temperature-K', '600', '--temperature-K', '700', '-o', 'x.json']
    """
    result: list[str] = []
    option = ""
    for argument in arguments:
        if argument in _SEVERAL:
            option = argument
        elif option and result[-1] != option and _SEVERAL[option].fullmatch(argument):
            result.append(option)
        elif option and result[-1] != option:
            option = ""
        result.append(argument)
    return result

"""The errors of mlsim.

    MlsimError
    ├── SettingsError   a setting or an argument is wrong: change the input
    ├── DataError       a file or a structure does not hold what was asked of it
    ├── NotConverged    the computation ran but its answer must not be used
    └── Interrupted     a signal asked us to stop; a checkpoint was written

Every message is one line: where, what, got X, expected Y, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["DataError", "Interrupted", "MlsimError", "NotConverged", "SettingsError", "did_you_mean"]


class MlsimError(Exception):
    """Base of all errors that a user can mend; the command line prints it on one line and exits with `exit_code`."""

    exit_code = 2


class SettingsError(MlsimError):
    """A setting, argument or option is missing, unknown or impossible."""


class DataError(MlsimError):
    """A file or structure does not hold what was asked of it."""


class NotConverged(MlsimError):
    """The computation ran, but its answer must not be used."""


class Interrupted(MlsimError):
    """A signal asked us to stop. State is on disk; the same command goes on from there."""

    exit_code = 75  # EX_TEMPFAIL: schedulers may start the job again


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of an error sentence that names the closest known word, or all of them.

    Examples
    --------
    >>> did_you_mean("melt_temperture_K", ["melt_temperature_K", "seed"])
    "did you mean 'melt_temperature_K'?"
    >>> did_you_mean("cl", ["Br", "Cl"])
    "did you mean 'Cl'?"
    >>> did_you_mean("zzz", ["nvt", "npt"])
    'known: npt, nvt'
    """
    names = sorted(known)
    close = [name for name in names if name.casefold() == word.casefold()]
    close = close or difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else "known: " + ", ".join(names)

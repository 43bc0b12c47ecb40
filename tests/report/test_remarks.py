"""What the commands of a campaign say is printed once, where the notes of the run say it too."""

from __future__ import annotations

import pytest

from mlsim.report.remarks import unsaid

NOTES = (
    "the framework diffuses as well at 700 K (700 K: Cl 6.0e-06 against Li 2.8e-05 cm2/s): a liquid",
    "450, 525 K: too short to tell whether the framework diffuses as well (its diffusivity may exceed 5% of that of "
    "Li), so these may be liquid too",
    "450 K: the shortest of 4 runs limits the window of all",
    "Arrhenius line: 700 K left out: Cl diffuses as well (6.0e-06 cm2/s): a liquid",
    "Arrhenius line: the mean squared displacement is not proportional to time yet at 450 K (t^0.82)",
)


@pytest.mark.parametrize(
    "remark",
    [
        "transport: 450 K: the shortest of 4 runs limits the window of all",
        "transport: 525 K: too short to tell whether the framework diffuses as well, at over 5 % of Li",
        "transport: 700 K: Cl diffuses as well (6.0e-06 cm2/s): a liquid on the time scale of these runs",
        "transport: 700 K left out: Cl diffuses as well (6.0e-06 cm2/s): a liquid",
        "transport: the mean squared displacement is not proportional to time yet at 450 K (t^0.82)",
    ],
)
def test_what_a_note_says_is_not_said_again(remark: str) -> None:
    assert unsaid([remark], NOTES) == ()
    assert unsaid([remark, remark], ()) == (remark,)


@pytest.mark.parametrize(
    "remark",
    [
        "transport: 600 K: too short to tell whether the framework diffuses as well, at over 5 % of Li",
        "transport: 525 K: the shortest of 4 runs limits the window of all",
        "transport: 700 K: rare hops: D rests on some 91 hops",
        "mechanism: too few hops to tell",
    ],
)
def test_another_temperature_or_another_matter_stays(remark: str) -> None:
    assert unsaid([remark], NOTES) == (remark,)

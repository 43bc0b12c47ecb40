"""What `import mlsim` and `mlsim --help` load, and what they offer."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import mlsim

HEAVY = ("torch", "mace", "e3nn", "matplotlib", "plotly", "jinja2", "numba", "scipy", "pymatgen", "h5py", "vesin")
PACKAGES = ("melt_quench", "scattering", "topology", "transport")


def loaded_by(code: str) -> set[str]:
    """Top-level modules in memory after running `code` in a fresh interpreter."""
    command = f"{code}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.splitlines()[-1].split())


def test_import_mlsim_loads_nothing_but_the_standard_library() -> None:
    assert loaded_by("import mlsim") & {*HEAVY, "numpy", "ase", "pydantic", "typer", "rich"} == set()


def test_help_loads_neither_torch_nor_plotting_nor_numerics() -> None:
    help_text = "import contextlib, io\nfrom mlsim.cli import main\nwith contextlib.redirect_stdout(io.StringIO()), "
    assert loaded_by(help_text + "contextlib.suppress(SystemExit):\n    main(['--help'])") & {*HEAVY, "ase"} == set()


def test_import_of_the_potential_package_loads_no_torch() -> None:
    assert loaded_by("import mlsim.potential") & {"torch", "mace", "e3nn"} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_of_the_physics_packages_is_in_mlsim(package: str) -> None:
    module = importlib.import_module(f"mlsim.{package}")
    assert set(module.__all__) - set(mlsim.__all__) == set()


def test_every_name_that_mlsim_offers_exists() -> None:
    for name in mlsim.__all__:
        assert getattr(mlsim, name) is not None, name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'mlsim' has no attribute 'pakc'$"):
        mlsim.__getattr__("pakc")

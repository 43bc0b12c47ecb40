"""`python -m mlsim.cli`: the command line where no script is installed."""

from mlsim.cli import main

main()

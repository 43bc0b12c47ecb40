"""Where in r the misfit of a function of Q comes from: the residual of fit_NAME.csv, transformed.

    python benchmarks/rmc_residual.py DIR/fit_NAME.csv s_of_q

What lies below the shortest distance of two atoms cannot be fitted by any structure: it is an error of the data
reduction (background, normalisation, Compton). What lies beyond the end of the pair sums is noise of the data, finer in
Q than the box resolves. Prints the share of each range of r in the squared residual, the R value of Q [S − 1], and its
part from the distances in between.
"""

import argparse
from itertools import pairwise

import numpy as np

EDGES = (0.0, 0.5, 1.0, 1.4, 2.0, 4.0, 10.0, 14.5)


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("quantity", choices=["s_of_q", "i_of_q", "qi_of_q"])
    options = parser.parse_args()
    q, data, _, model, _ = np.loadtxt(options.file, delimiter=",", skiprows=1).T
    by = np.ones_like(q) if options.quantity == "qi_of_q" else q
    residual = by * (data - model)
    size = by * (data - (1.0 if options.quantity == "s_of_q" else 0.0))
    r = np.arange(0.005, np.pi / np.diff(q).max(), 0.01)
    r = r[r < EDGES[-1]]
    power = (2 / np.pi * np.sin(np.multiply.outer(r, q)) @ (residual * np.gradient(q))) ** 2
    # Parseval: the integral of the squared transform over r is 2/pi times that of the squared residual over Q
    total = 2 / np.pi * float((residual**2 * np.gradient(q)).sum())
    rw = float(np.sqrt((residual**2).sum() / (size**2).sum()))
    for low, high in pairwise(EDGES):
        share = float(power[(r >= low) & (r < high)].sum()) * 0.01 / total
        print(f"r {low:4.1f} to {high:4.1f} Å: {share:6.1%} of the squared residual")
    print(f"r beyond {EDGES[-1]} Å: {1 - float(power.sum()) * 0.01 / total:6.1%} of the squared residual")
    inside = float(power[r >= 1].sum()) * 0.01 / total
    print(f"Rw of Q [S - 1]: {rw:.3f}; from 1 to {EDGES[-1]} Å alone: {rw * np.sqrt(inside):.3f}")


if __name__ == "__main__":
    main()

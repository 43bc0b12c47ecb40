"""The only reader and writer of files: structures, trajectories, measured curves, results.

Every file is written under a temporary name and renamed, so that an interrupted run leaves no half-written one.
"""

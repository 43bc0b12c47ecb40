"""Topology of a mixed-anion glass: coordination, links, anion surroundings."""

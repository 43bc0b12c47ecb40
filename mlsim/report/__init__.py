"""Figures and the report page: the only importer of matplotlib, plotly and jinja2."""

"""Figures and the report page: the only importer of matplotlib, plotly and jinja2."""

from mlsim.report.page import write_report

__all__ = ["write_report"]

"""Figures and the report page: the only importer of matplotlib, plotly and jinja2."""

from mlsim.report.figure import publication_style, write_figure
from mlsim.report.fit_figure import write_fit_figure
from mlsim.report.markdown import write_markdown_report
from mlsim.report.page import write_report

__all__ = ["publication_style", "write_figure", "write_fit_figure", "write_markdown_report", "write_report"]

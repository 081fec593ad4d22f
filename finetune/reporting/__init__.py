"""The report of a run: text, table, JSON, figures and one page, from the predictions alone."""

from finetune.reporting.context import ReportContext
from finetune.reporting.rebuilding import rebuild_report
from finetune.reporting.sharing import share_report
from finetune.reporting.writing import write_report

__all__ = ["ReportContext", "rebuild_report", "share_report", "write_report"]

"""`siamjax report`: finished evaluations, scored and drawn on one page."""

import argparse
from pathlib import Path

from siamjax.evaluation import finished, report
from siamjax.evaluation.style import MEDIA

DESCRIPTION = """\
Scores and draws finished results of several evaluations on one page, with figures
and LaTeX tables for a paper. Evaluations of the same sequences by the same rules are
compared in the same tables.
"""
EXAMPLES = (
    "siamjax report runs/eval/synthetic",
    "siamjax report runs/a runs/b --style=paper --out=runs/report",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    text = "folder of an evaluation (--out of siamjax eval), or DATASET=FOLDER of result files"
    add("folders", nargs="+", metavar="FOLDER", help=text)
    add("--data_root", help="folder of the benchmarks; default: that of each evaluation")
    add("--style", choices=MEDIA, default="screen", help="figures for a page or for a paper")
    add("--out", default="runs/report", help="folder for the report (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    """Writes the report and prints its tables.

    Raises:
        UserError: what the user has to change.
    """
    evaluations = [finished.read(text, args.data_root) for text in args.folders]
    scored = finished.score_all(evaluations)
    entries = {
        name: report.Entry(one.scores, one.benchmark, one.results) for name, one in scored.items()
    }
    written = report.write_all(Path(args.out), entries, args.style)
    print("\n\n".join(report.terminal(one.scores) for one in scored.values()))
    print(f"report: {written}")

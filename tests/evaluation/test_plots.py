"""Plots of a report: what is drawn, in which order, over which ranges.

Before: `run_eval.py --dataset=OTB100 --results=DIR` with nine trackers drew the ninth in the first
one's colour, all lines whole; points always over 0..1; PNG and SVG alone.
"""

import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from siamjax.evaluation import canvas, plots, style
from siamjax.evaluation.scoring import Scores
from siamjax.measures.result import Figure, Plot

GRID = np.linspace(0, 1, 21)
FIGURES = {
    "auc": Figure("AUC"),
    "lost": Figure("failures", lower_is_better=True, digits=1),
}
PLOTS = {
    "success": Plot("lines", "success", "threshold", "share", "auc"),
    "failures": Plot("bars", "failures", "", "failures", "lost"),
    "pairs": Plot("points", "pairs", "lost", "AUC", data=lambda of, tracker: _pair(of, tracker)),
}


def _pair(of, tracker):
    row = of.trackers[tracker]
    return row["lost"], row["auc"]


def scores(names, **more):
    """AUC .7, .69 and so on; failures 1, 2 and so on."""
    rows = {n: {"auc": 0.7 - 0.01 * i, "lost": 1.0 + i} for i, n in enumerate(names)}
    lines = {n: row["auc"] * (1 - GRID) for n, row in rows.items()}
    fields = {"curves": {"success": (GRID, lines)}, "figures": FIGURES, "plots": PLOTS}
    fields |= {"overlap": "", "dataset": "d", "sequences": (2, 2), "protocol": "ope"}
    return Scores(trackers=rows, **fields | more)


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


SIXTEEN = [f"tracker {i}" for i in range(16)]


def test_sixteen_lines_differ():
    (axes,) = plots.draw_all(scores(SIXTEEN))["success"].axes
    looks = {
        (line.get_color(), line.get_linestyle(), line._unscaled_dash_pattern, line.get_marker())
        for line in axes.get_lines()
    }
    plain = {one[1:] for one in looks}
    assert len(looks) == len(plain) == 16


def test_axes_fit_the_data():
    figures = plots.draw_all(scores(SIXTEEN[:3]))
    (axes,) = figures["success"].axes
    assert axes.get_xlim() == (0, 1)
    assert 0.7 < axes.get_ylim()[1] < 0.75
    (axes,) = figures["pairs"].axes  # of accuracy-robustness plots
    assert 0.65 < axes.get_ylim()[0] < 0.68
    assert 0.70 < axes.get_ylim()[1] < 0.73
    assert axes.get_xlim() == pytest.approx((0.6, 3.4))
    (axes,) = figures["failures"].axes  # bars begin at 0
    assert axes.get_xlim()[0] == 0
    assert 3 < axes.get_xlim()[1] < 3.3


def test_a_tracker_with_one_point_is_seen():
    """Before: all scores in one bin of the reliability diagram, and nothing but its legend."""
    data = dict(data=lambda *_: (GRID[19:20], GRID[9:10]), diagonal=True)
    plot = Plot("lines", "reliability", "x", "y", "auc", **data)
    figure = plots.draw_all(scores(["a"], plots={"one": plot}))["one"]
    agg = FigureCanvasAgg(figure)
    agg.draw()
    pixels = np.asarray(agg.buffer_rgba()).astype(int)[..., :3]
    line, _diagonal = figure.axes[0].get_lines()
    x, y = line.get_transform().transform((GRID[19], GRID[9])).round().astype(int)
    colour = (np.array(to_rgb(line.get_color())) * 255).round()
    assert np.abs(pixels[len(pixels) - y, x] - colour).max() < 20


def test_legends_are_ranked_by_the_plots_own_figure():
    found = scores(["a", "b", "c"])
    found.trackers["c"]["auc"] = 0.8
    found.trackers["c"]["lost"] = 9.0
    figures = plots.draw_all(found)
    assert legend(figures["success"]) == ["c [0.800]", "a [0.700]", "b [0.690]"]
    bars = [text.get_text() for text in figures["failures"].axes[0].get_yticklabels()]
    assert bars == ["a [1.0]", "b [2.0]", "c [9.0]"]


@pytest.mark.parametrize("name", ["_hidden", "50 $ \\alpha^", "追跡器", "a" * 40, " "])
@pytest.mark.filterwarnings("error")
def test_names_stand_as_they_are(name):
    figure = plots.draw_all(scores([name, "other"]))["success"]
    assert legend(figure) == [f"{name} [0.700]", "other [0.690]"]


@pytest.mark.filterwarnings("error")
def test_long_names_leave_room_for_the_axes():
    names = [f"{'long ' * 30}{i}" for i in range(16)]
    figures = plots.draw_all(scores(names), style.MEDIA["paper"])
    first = legend(figures["success"])[0]
    assert first == "long long long long …ng long long long 0 [0.700]"
    for figure in figures.values():
        box = figure.axes[0].get_position()
        assert box.width * figure.get_figwidth() > 0.8  # in
        assert box.height * figure.get_figheight() > 0.8


def test_a_tracker_without_a_curve_is_left_out_of_that_plot():
    found = scores(["a", "b"])
    del found.curves["success"][1]["a"]
    found.trackers["b"]["lost"] = float("nan")
    figures = plots.draw_all(found)
    assert legend(figures["success"]) == ["b [0.690]"]
    assert len(figures["failures"].axes[0].get_yticklabels()) == 1


def test_attributes_that_nobody_has_are_not_drawn():
    """Before: `VOT2019.json` with tags that no frame carries was an IndexError."""
    nothing = {"auc": {tag: {"a": np.nan, "b": np.nan} for tag in ("x", "y", "z")}}
    curves = {"success": {tag: {"a": GRID * np.nan, "b": GRID * np.nan} for tag in "xyz"}}
    found = scores(["a", "b"], attributes=nothing, attribute_curves=curves)
    assert set(plots.draw_all(found, style.MEDIA["paper"])) == {"success", "failures", "pairs"}
    nothing["auc"]["y"]["b"] = 0.5
    assert "attributes" in plots.draw_all(found)


def test_attributes_from_easy_to_hard_with_their_sizes():
    values = {"auc": {"A_B": {"a": 0.3, "b": 0.2}, "C": {"a": 0.6, "b": 0.7}}}
    sizes = {"A_B": "3 sequences", "C": "1,200 frames"}
    found = scores(["a", "b"], attributes=values, attribute_sizes=sizes)
    (axes,) = plots.draw_all(found)["attributes"].axes
    rows = [text.get_text() for text in axes.get_yticklabels()]
    assert rows == ["C (1,200)", "A B (3)"]
    assert axes.yaxis_inverted()


def test_of_many_classes_the_most_frequent_are_drawn():
    names = [f"class {i:02d}" for i in range(50)]
    values = {"auc": {name: {"a": 0.5} for name in names}}
    curves = {"success": {name: {"a": GRID} for name in names}}
    sizes = {name: f"{i + 1} sequences" for i, name in enumerate(names)}
    fields = {"attribute_curves": curves, "attribute_sizes": sizes, "plots": {}}
    figure = plots.draw_all(scores(["a"], attributes=values, **fields))["attributes"]
    (axes,) = figure.axes
    rows = {text.get_text() for text in axes.get_yticklabels()}
    assert rows == {f"{name} ({sizes[name].split()[0]})" for name in names[10:]}
    assert "AUC by attribute, 40 of 50" in figure.get_suptitle()


def test_a_panel_for_each_attribute():
    values = {"auc": {tag: {"a": 0.3, "b": 0.4} for tag in "xyz"}}
    curves = {"success": {tag: {"a": 0.3 * GRID, "b": 0.4 * GRID} for tag in "xyz"}}
    found = scores(["a", "b"], attributes=values, attribute_curves=curves)
    figure = plots.draw_all(found, style.MEDIA["paper"])["success_by_attribute"]
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [f"{tag}\nb 0.400" for tag in "xyz"]
    assert "success_by_attribute" not in plots.draw_all(found)  # not on the screen


def test_differences_of_the_first_two():
    rows = {"a": [0.5, 0.9, 0.1], "b": [0.6, 0.2, 0.1]}
    values = {t: {f"s{i}": {"auc": v} for i, v in enumerate(own)} for t, own in rows.items()}
    (figure,) = [plots.draw_all(scores(["a", "b"], per_sequence=values))["differences"]]
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["s1", "s2", "s0"]
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == pytest.approx([0.7, 0, -0.1])
    assert legend(figure) == ["a better on 1 of 3", "b better on 1"]


def test_many_sequences_show_both_ends():
    values = np.linspace(-1, 1, 60)
    table = {"a": {f"s{i}": {"auc": float(v)} for i, v in enumerate(values)}}
    table["b"] = {name: {"auc": 0.0} for name in table["a"]}
    figure = plots.draw_all(scores(["a", "b"], per_sequence=table))["differences"]
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert (len(names), names[0], names[-1]) == (24, "s59", "s0")


def test_files_are_the_same_twice(tmp_path):
    medium = style.MEDIA["paper"]
    for folder in ("one", "two"):
        drawn = plots.draw_all(scores(["a", "b"], plots={"success": PLOTS["success"]}), medium)
        svgs = {name: canvas.to_svg(figure) for name, figure in drawn.items()}
        canvas.save(drawn, tmp_path / folder, medium, svgs)
    files = {path.name for path in (tmp_path / "one").iterdir()}
    assert files == {"success.pdf", "success.png", "success.svg"}
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    svg = (tmp_path / "one/success.svg").read_text()
    assert "font-family: 'DejaVu Sans', Verdana, sans-serif" in svg
    fonts = re.findall(rb"/FontFile2", (tmp_path / "one/success.pdf").read_bytes())
    assert fonts  # TrueType, embedded


def test_matplotlib_is_imported_when_something_is_drawn():
    code = (
        "import sys; from siamjax.commands import eval, report; from siamjax.evaluation import"
        " compare, finished, latex, page, report, scoring, style;"
        "assert 'matplotlib' not in sys.modules, 'matplotlib was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

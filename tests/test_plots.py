"""Figures: right numbers, readable at 2, 5 and 60 categories, never silently empty, no global state touched."""

from __future__ import annotations

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from fake_results import MANY_AXES, fake_results, variant
from matplotlib.figure import Figure

from gradsim import analysis, plots
from gradsim.errors import UsageError
from gradsim.plots.lines import Multiples
from gradsim.plots.style import HUES

SMALL = {"learning_rate": [0.001, 0.03, 1.0], "seed": [0, 1, 2]}
TWO = {"activation": ["tanh", "relu"], "initializer": ["zeros", "he_normal"]} | SMALL
FIVE = {
    "activation": ["sigmoid", "tanh", "relu", "leaky_relu(slope=0.01)", "gelu"],
    "initializer": ["zeros", "normal(std=1)", "he_normal"],
} | SMALL


# Five initializers: two rows of panels, the second incomplete.
MANY = MANY_AXES | {"initializer": MANY_AXES["initializer"][2:7]}


@pytest.fixture(scope="module")
def campaigns():
    return {2: fake_results(axes=TWO), 5: fake_results(axes=FIVE), 60: fake_results(axes=MANY)}


def draw(results, name: str, **look) -> Figure:
    """The figure of that name as the report draws it."""
    runs, by = results.runs, analysis.comparison_axes(results.runs, results.axes)[:2]
    rate = analysis.rate_axis(runs, results.axes) or "learning_rate"
    frames = {
        "convergence_rate": lambda: [analysis.convergence_rate(runs, by)],
        "axis_effects": lambda: [analysis.axis_effects(runs, results.axes)],
        "activation_histograms": lambda: [histograms(results)],
        "dead_by_axis": lambda: [analysis.dead_by_axis(results.layers, runs, results.axes)],
        "dead_over_time": lambda: [analysis.dead_over_time(results.layers, runs, by)],
        "update_ratios": lambda: [analysis.update_ratios(results.layers, runs, [*by, rate][:2])],
        "convergence_panels": lambda: [analysis.convergence_rate(runs, [*by, "learning_rate", "seed"][:3])],
        "converged_by_step": lambda: [analysis.converged_by_step(runs, by)],
        "example_courses": lambda: [courses(results)],
        "time_to_target": lambda: [analysis.time_to_target(runs, by)],
        "fates": lambda: [analysis.fate_counts(runs, by)],
        "learning_rate_windows": lambda: [
            analysis.convergence_rate(runs, [*by, rate]),
            analysis.learning_rate_windows(runs, by, rate),
        ],
        "loss_by_learning_rate": lambda: [analysis.loss_by_learning_rate(runs, by, rate)],
        "dead_units": lambda: [analysis.dead_units(results.layers, runs, by, rate)],
        "saturation": lambda: [analysis.saturation(results.layers, runs, by[:1])],
        "gradient_flow": lambda: [analysis.gradient_flow(results.layers, runs, by)],
        "loss_curves": lambda: [analysis.loss_curves(results.curves, runs, by)],
        "sharpness": lambda: [analysis.sharpness(with_sharpness(results), runs, by[:1], rate)],
    }
    return getattr(plots, name)(*frames[name](), **look)


def courses(results):
    """How the telling runs went."""
    examples = analysis.telling_runs(results.runs, results.axes)
    return analysis.example_courses(examples, results.runs, results.curves, results.layers)


def histograms(results):
    """Activations of the telling runs as replays might have them: wider from layer to layer, later of one value."""
    examples = analysis.telling_runs(results.runs, results.axes)
    found = {}
    for run in results.runs[results.runs["run_id"].isin(examples["run_id"])].itertuples():
        rows = []
        for step in analysis.moments(run.steps, run.first_nonfinite_step):
            for layer in range(run.depth):
                reach = 0.0 if step > 100 and layer else 10.0 ** (layer * (run.outcome == "diverged"))
                edges = np.linspace(-reach or -0.5, reach or 0.5, 61)
                count = np.exp(-0.5 * np.linspace(-3, 3, 60) ** 2) * 1000 if reach else np.arange(60) == 30
                rows += zip([step] * 60, [layer] * 60, edges[:-1], edges[1:], count.astype(int), strict=True)
        table = pd.DataFrame(rows, columns=["step", "layer", "left", "right", "count"])
        found[run.run_id] = table.assign(quantity="activation")
    return analysis.activation_histograms(examples, results.runs, found)


def with_sharpness(results):
    """The curves with the columns of a campaign that recorded it: numbers that follow the loss."""
    rates = results.curves[["run_id"]].merge(results.runs[["run_id", "learning_rate"]], how="left")["learning_rate"]
    loss = results.curves["train_loss"]
    limits = (2 / rates).where(loss.notna().to_numpy())
    return results.curves.assign(sharpness=(1 + loss).where(loss < 1e3), stability_limit=limits.to_numpy())


def drawn(campaigns, name: str, count: int) -> Figure:
    """The light figure for so many activations, drawn once for all tests that only look at it."""
    if (name, count) not in _DRAWN:
        _DRAWN[name, count] = draw(campaigns[count], name)
        _DRAWN[name, count].draw_without_rendering()
    return _DRAWN[name, count]


_DRAWN: dict[tuple[str, int], Figure] = {}
# Those that take no frame are tested in test_plot_activations, those of theory in test_plots_theory.
OTHERS = ("rc_params", "ROWS", "activations", "staircase", "unit_step")
OTHERS += ("phase_diagram", "phase_diagrams", "signal_maps", "theory_over_measurement")
NAMES = [name for name in plots.__all__ if name not in OTHERS]
# Those of chosen runs leave no setting out that they would have to name.
CHOSEN = {"activation_histograms", "example_courses"}
SEVERAL_AXES = {"convergence_panels", "example_courses", "gradient_flow", "update_ratios"}
ONE_AXES = [
    "activation_histograms",
    "convergence_rate",
    "axis_effects",
    "fates",
    "learning_rate_windows",
    "saturation",
    "time_to_target",
]


def texts(figure: Figure) -> list[str]:
    """All visible text of a figure."""
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_visible() and text.get_text()]


def boxes(figure: Figure) -> list[tuple[str, mpl.transforms.Bbox]]:
    """Everything written outside the plots' areas: titles, legends, notes, axis labels, tick labels."""
    renderer = figure.canvas.get_renderer()
    found = [(text.get_text(), text.get_window_extent(renderer)) for text in figure.texts if text.get_text()]
    found += [("legend", legend.get_window_extent(renderer)) for legend in figure.legends]
    for axes in figure.axes:
        if not axes.get_visible():
            continue
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            labels = [label for tick in ticks for label in (tick.label1, tick.label2)] + [axis.label]
            labels = [label for label in labels if label.get_visible() and label.get_text().strip()]
            found += [(label.get_text(), label.get_window_extent(renderer)) for label in labels]
        titles = [axes.title, axes._left_title, axes._right_title]
        found += [(title.get_text(), title.get_window_extent(renderer)) for title in titles if title.get_text()]
    return found


def tilted(figure: Figure) -> bool:
    return any(label.get_rotation() % 90 for axes in figure.axes for label in axes.get_xticklabels())


@pytest.mark.parametrize("count", [2, 5, 60])
@pytest.mark.parametrize("name", NAMES)
def test_no_text_overlaps_or_leaves_the_figure(campaigns, name, count):
    figure = drawn(campaigns, name, count)
    found, page = boxes(figure), figure.bbox
    for text, box in found:
        assert box.x0 >= page.x0 - 1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y0 >= page.y0 - 1, text
        assert box.y1 <= page.y1 + 1, text
    # The boxes of tilted labels overlap where their letters do not.
    if not tilted(figure):
        for (one, a), (other, b) in itertools.combinations(found, 2):
            assert not overlap(a, b), f"{one!r} overlaps {other!r}"


def overlap(a: mpl.transforms.Bbox, b: mpl.transforms.Bbox) -> bool:
    return min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1


@pytest.mark.parametrize("name", sorted(set(NAMES) - CHOSEN))
def test_what_is_left_out_is_said(campaigns, name):
    assert any(
        " of 60 activations shown: " in text or " of 300 combinations shown: " in text
        for text in texts(drawn(campaigns, name, 60))
    )
    assert not any(" shown: " in text for text in texts(drawn(campaigns, name, 2)))


def test_a_missing_number_can_be_among_the_few_that_are_shown():
    frame = pd.DataFrame({"activation.slope": [*range(1, 10), np.nan], "n": 1, "loss": [2.0] * 9 + [1.0]})
    panels = Multiples(frame, ["activation.slope"], frame["loss"], "those with the lowest loss")
    assert panels.hues[:-1] == list(range(1, HUES))
    assert np.isnan(panels.hues[-1])


def test_heat_map_holds_the_counts(campaigns):
    rates = analysis.convergence_rate(campaigns[5].runs, ["activation", "initializer"])
    shown = sorted(text for text in texts(plots.convergence_rate(rates)) if "\n" in text)
    expected = sorted(f"\n{row.converged} of {row.n}" for row in rates.itertuples())
    assert len(shown) == 15
    assert sorted("\n" + text.split("\n")[1] for text in shown) == expected


def test_heat_map_of_two_numeric_axes_shows_all_of_them():
    grid = {
        "learning_rate.0": np.geomspace(1e-3, 1, 40).tolist(),
        "learning_rate.1": np.geomspace(1e-3, 1, 40).tolist(),
    }
    rates = analysis.convergence_rate(fake_results(axes=grid, depth=1).runs, list(grid))
    figure = plots.convergence_rate(rates)
    assert figure.axes[0].images[0].get_array().shape == (40, 40)
    assert figure.get_figheight() < 8.5


def test_panels_of_heat_maps_hold_every_cell_and_pick_evenly_among_many():
    grid = {"activation": ["tanh", "relu"], "depth": list(range(1, 21)), "seed": [0, 1, 2]}
    results = fake_results(axes=grid | {"learning_rate": [0.01, 0.1]})
    rates = analysis.convergence_rate(results.runs, ["activation", "learning_rate", "depth"])
    figure = plots.convergence_panels(rates)
    maps = [axes for axes in figure.axes if axes.images and axes.get_title(loc="left")]
    assert len(maps) == 9
    assert [axes.get_title(loc="left") for axes in maps][:: len(maps) - 1] == ["depth 1", "depth 20"]
    assert any("9 of 20 values of depth shown, evenly picked." in text for text in texts(figure))
    first = rates[rates["depth"].eq(1)]["rate"].tolist()
    assert sorted(maps[0].images[0].get_array().ravel().tolist()) == sorted(first)
    with pytest.raises(UsageError, match="compare by three columns"):
        plots.convergence_panels(analysis.convergence_rate(results.runs, ["activation"]))


def test_more_than_two_columns_are_refused(campaigns):
    by = ["activation", "initializer", "learning_rate"]
    with pytest.raises(UsageError, match="at most two columns"):
        plots.convergence_rate(analysis.convergence_rate(campaigns[2].runs, by))
    with pytest.raises(UsageError, match="at most two columns"):
        plots.loss_by_learning_rate(analysis.loss_by_learning_rate(campaigns[2].runs, [*by[:2], "seed"]))


def test_time_to_target_has_the_medians_and_the_tallies(campaigns):
    times = analysis.time_to_target(campaigns[5].runs, ["activation", "initializer"])
    figure = plots.time_to_target(times)
    (line,) = (line for line in figure.axes[0].lines if line.get_marker() == "o")
    assert np.allclose(line.get_xdata(), times["steps"].sort_values(), equal_nan=True)
    written = texts(figure)
    assert written.count("none converged") == times["steps"].isna().sum()
    assert all(f"{row.converged} of {row.n}" in written for row in times.itertuples())


def test_loss_is_drawn_where_it_is(campaigns):
    losses = analysis.loss_by_learning_rate(campaigns[5].runs, ["activation"])
    figure = plots.loss_by_learning_rate(losses)
    line = figure.axes[0].lines[0]
    expected = losses[losses["activation"] == "sigmoid"]["loss"]
    assert np.allclose(line.get_ydata(), expected)


@pytest.mark.parametrize("name", sorted(set(NAMES) - SEVERAL_AXES))
def test_a_figure_can_be_drawn_on_given_axes(campaigns, name):
    figure = Figure()
    axes = figure.subplots(2)[0]
    results = campaigns[2] if name in ONE_AXES else variant("one activation")
    assert draw(results, name, ax=axes) is figure
    assert len(figure.axes) <= 3
    assert axes.get_title(loc="left")
    assert axes.has_data() or axes.images


def test_small_multiples_refuse_one_axes(campaigns):
    with pytest.raises(UsageError, match="cannot be drawn on one axes"):
        draw(campaigns[2], "loss_curves", ax=Figure().add_subplot())


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_frame_makes_a_figure_that_says_why(campaigns, name):
    results = fake_results(axes=TWO)
    results.runs, results.layers, results.curves = (f.iloc[:0] for f in (results.runs, results.layers, results.curves))
    by = [] if name in ("axis_effects", "dead_by_axis") else ["activation"]
    frames = {
        "convergence_rate": [analysis.convergence_rate(campaigns[2].runs, by).iloc[:0]],
        "axis_effects": [analysis.axis_effects(campaigns[2].runs, [])],
        "activation_histograms": [histograms(campaigns[2]).iloc[:0]],
        "dead_by_axis": [analysis.dead_by_axis(results.layers, results.runs, [])],
        "dead_over_time": [analysis.dead_over_time(results.layers, campaigns[2].runs, by)],
        "update_ratios": [analysis.update_ratios(results.layers, campaigns[2].runs, by)],
        "convergence_panels": [analysis.convergence_rate(campaigns[2].runs, [*by, "initializer", "seed"]).iloc[:0]],
        "converged_by_step": [analysis.converged_by_step(campaigns[2].runs, by).iloc[:0]],
        "example_courses": [courses(campaigns[2]).iloc[:0]],
        "time_to_target": [analysis.time_to_target(campaigns[2].runs, by).iloc[:0]],
        "fates": [analysis.fate_counts(campaigns[2].runs, by).iloc[:0]],
        "learning_rate_windows": [
            analysis.convergence_rate(campaigns[2].runs, [*by, "learning_rate"]).iloc[:0],
            analysis.learning_rate_windows(campaigns[2].runs, by).iloc[:0],
        ],
        "loss_by_learning_rate": [analysis.loss_by_learning_rate(campaigns[2].runs, by).iloc[:0]],
        "dead_units": [analysis.dead_units(results.layers, campaigns[2].runs, by)],
        "saturation": [analysis.saturation(results.layers, campaigns[2].runs, by)],
        "gradient_flow": [analysis.gradient_flow(results.layers, campaigns[2].runs, by)],
        "loss_curves": [analysis.loss_curves(results.curves, campaigns[2].runs, by)],
        "sharpness": [analysis.sharpness(with_sharpness(results), campaigns[2].runs, by)],
    }
    written = texts(getattr(plots, name)(*frames[name]))
    assert any(len(text.split()) >= 4 and text.endswith(".") for text in written)


@pytest.mark.parametrize("name", NAMES)
def test_a_campaign_that_diverged_altogether_is_drawn(name):
    assert isinstance(draw(variant("all diverged"), name), Figure)


def test_histograms_have_the_numbers_of_the_frame(campaigns):
    frame = histograms(campaigns[2])
    figure = plots.activation_histograms(frame)
    shapes = figure.axes[0].collections
    assert len(shapes) == frame.groupby(["run_id", "step", "layer"]).ngroups
    # The first ridge is the last layer's at step 0 of the first run, its height the root of the density.
    outline = shapes[0].get_paths()[0].vertices
    mine = frame[frame["run_id"].eq(frame["run_id"].iloc[0]) & frame["step"].eq(0) & frame["layer"].eq(4)]
    share = mine["share"].to_numpy()
    heights = outline[:, 1].max() - np.unique(outline[:, 1].round(6))
    assert np.isclose(heights.max(), 1.6 * 0.24, atol=1e-4)
    expected = heights.max() * np.sqrt(share.min() / share.max())
    assert np.abs(heights - expected).min() < 1e-4


def test_what_is_far_from_most_stands_on_the_edges_of_the_flow(campaigns):
    """One activation that explodes, another that vanishes: the others' lines still fill the axis."""
    results = campaigns[5]
    flow = analysis.gradient_flow(results.layers, results.runs, ["activation", "initializer"])
    flow = flow[flow["initializer"].ne("zeros")]
    values = ["median", "q25", "q75"]
    for name, factor in (("gelu", 1e25), ("sigmoid", 1e-25)):
        flow.loc[flow["activation"].eq(name), values] *= factor
    figure = plots.gradient_flow(flow)
    low, high = figure.axes[0].get_ylim()
    rest = flow[~flow["activation"].isin(["gelu", "sigmoid"])]["median"]
    assert rest[rest > 0].between(low, high).all()
    assert np.log10(high / low) < 14
    for edge in (low, high):
        (marks,) = {
            line.get_marker()
            for line in figure.axes[0].lines
            if line.get_markerfacecolor() == "none" and np.allclose(np.log10(line.get_ydata()), np.log10(edge), atol=1)
        }
        assert marks
    assert "upper edge: too large" in " ".join(texts(figure))


def test_a_single_line_has_no_legend():
    figure = draw(variant("one activation"), "loss_by_learning_rate")
    assert not figure.legends


def test_dark_is_the_same_figure_on_other_paper(campaigns):
    light = drawn(campaigns, "fates", 5)
    dark = draw(campaigns[5], "fates", theme="dark", like=light)
    assert [a.get_position().bounds for a in light.axes] == [a.get_position().bounds for a in dark.axes]
    assert texts(light) == texts(dark)
    assert light.get_facecolor() != dark.get_facecolor()
    with pytest.raises(UsageError, match="did you mean 'dark'"):
        plots.rc_params("drak")


def test_a_figure_drawn_later_looks_the_same(campaigns):
    def pixels() -> bytes:
        figure = draw(campaigns[2], "gradient_flow", theme="dark")
        figure.canvas.draw()
        return bytes(figure.canvas.buffer_rgba())

    with mpl.rc_context(plots.rc_params("dark")):
        within = pixels()
    assert pixels() == within


def test_figures_leave_no_trace_in_rc_parameters(campaigns):
    before = dict(mpl.rcParams)
    draw(campaigns[2], "loss_curves", theme="dark")
    assert dict(mpl.rcParams) == before


def test_threads_draw_the_same_pixels(campaigns):
    def pixels(job) -> bytes:
        name, theme = job
        figure = draw(campaigns[2], name, theme=theme)
        figure.canvas.draw()
        return bytes(figure.canvas.buffer_rgba())

    jobs = [(name, theme) for name in ("fates", "axis_effects") for theme in ("light", "dark")]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(pixels, jobs)) == [pixels(job) for job in jobs]


def test_pyplot_is_never_imported():
    code = "import gradsim.plots, sys; print('matplotlib.pyplot' in sys.modules, 'numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]

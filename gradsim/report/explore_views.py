"""The explorer's pictures, written with Altair: runs as points to brush, and lines of some runs with one in front.

Scales are linear throughout: the page's script places what is logarithmic or a name, and hands over ticks and labels.
"""

from __future__ import annotations

from typing import Any

from gradsim.errors import GradsimError
from gradsim.outcomes import OUTCOMES
from gradsim.plots.bars import FATE_PLACES
from gradsim.plots.style import rc_params

# Places in the style's palette, as the figures of the report have them.
_OUTCOMES = dict(zip(OUTCOMES, (0, 5, 7, 1), strict=True))
_OTHER = 7
_SHAPES = ("circle", "triangle-up", "square", "cross", "diamond", "triangle-down", "triangle-right", "stroke")


def altair() -> Any:
    """The package, which only an extra brings, as it brings the JavaScript.

    Raises GradsimError with how to get them.
    """
    try:
        import altair
        import vl_convert  # noqa: F401
    except ImportError as error:
        missing = f"the explorer needs Altair and vl-convert ({error})"
        raise GradsimError(f"{missing}; pip install gradsim[explore] brings them") from None
    return altair


def libraries() -> str:
    """Vega, Vega-Lite and vega-embed as one script. Raises GradsimError where Altair is ahead of vl-convert."""
    import vl_convert

    version = ".".join(altair().SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    try:
        return vl_convert.javascript_bundle(vl_version=version)
    except (RuntimeError, ValueError) as error:
        raise GradsimError(
            f"explore: vl-convert-python {vl_convert.__version__} has no Vega-Lite {version}, which Altair writes; "
            "upgrade it"
        ) from error


def views() -> dict[str, dict[str, Any]]:
    """The Vega-Lite specifications, by name: runs, curves, layers."""
    return {
        "runs": _points().to_dict(),
        "curves": _lines("Loss over steps of the runs selected, and of one run in front").to_dict(),
        "layers": _lines("A statistic by layer of the runs selected, and of one run in front").to_dict(),
    }


def look(theme: str) -> dict[str, Any]:
    """Colors and shapes of outcomes and fates in a theme, "light" or "dark", and Vega-Lite's config for it."""
    rc = rc_params(theme)
    palette = rc["axes.prop_cycle"].by_key()["color"]
    ink, muted, rule, paper = (rc[k] for k in ("text.color", "axes.labelcolor", "grid.color", "figure.facecolor"))
    font = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif'
    axis = {"domainColor": rule, "tickColor": rule, "gridColor": rule, "labelColor": muted, "titleColor": muted}
    return {
        "ink": ink,
        "palette": palette,
        "outcomes": _OUTCOMES,
        "fates": FATE_PLACES,
        "other": _OTHER,
        "shapes": _SHAPES,
        "config": {
            "background": paper,
            "font": font,
            "view": {"stroke": None},
            "axis": axis | {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 150},
            "legend": {"labelColor": ink, "labelFontSize": 12, "symbolSize": 70, "labelLimit": 200},
        },
    }


def _axes(alt: Any) -> dict[str, Any]:
    """Both axes: linear, their ends, ticks and labels parameters that the script sets."""
    channels = {}
    for channel, make in (("x", alt.X), ("y", alt.Y)):
        ends = alt.Scale(zero=False, nice=False, domain=[alt.ExprRef(f"{channel}Min"), alt.ExprRef(f"{channel}Max")])
        ticks = alt.Axis(
            title=None,
            values=alt.ExprRef(f"{channel}Ticks"),
            labelExpr=f"{channel}Labels[datum.value]",
            labelOverlap="greedy",
            labelSeparation=6,
            grid=channel == "y",
        )
        channels[channel] = make(f"{channel}:Q", scale=ends, axis=ticks)
    return channels


def _params(alt: Any) -> list[Any]:
    starts = {"Min": 0, "Max": 1, "Ticks": [], "Labels": {}}
    scales = [alt.param(name=f"{channel}{end}", value=start) for channel in "xy" for end, start in starts.items()]
    return [*scales, alt.param(name="ink", value="#000000")]


def _group(alt: Any, channel: Any, legend: Any) -> Any:
    """Color or shape by outcome or fate; the script sets the range to what is there."""
    return channel("group:N", scale=alt.Scale(domain=[""], range=[""]), legend=legend)


def _points() -> Any:
    alt = altair()
    brush = alt.selection_interval(name="brush", encodings=["x", "y"])
    legend = alt.Legend(title=None, orient="top", direction="horizontal", columns=4, symbolOpacity=1)
    axes = _axes(alt)
    points = (
        alt.Chart(alt.NamedData("runs"))
        .mark_point(filled=True, size=34, strokeWidth=0)
        .encode(
            **axes,
            color=_group(alt, alt.Color, legend),
            shape=_group(alt, alt.Shape, legend),
            opacity=alt.when(brush).then(alt.value(0.75)).otherwise(alt.value(0.12)),
            tooltip=[alt.Tooltip(f"{name}:N", title=title) for name, title in _TOLD.items()],
        )
        .add_params(brush)
    )
    named = alt.Scale(domain=["this", "kept"], range=[[1, 0], [3, 3]])
    rings = (
        alt.Chart(alt.NamedData("chosen"))
        .mark_point(filled=False, size=260, strokeWidth=2, stroke=alt.ExprRef("ink"), shape="circle", opacity=1)
        .encode(x="x:Q", y="y:Q", strokeDash=alt.StrokeDash("which:N", scale=named, legend=None))
    )
    return (
        alt.layer(points, rings)
        .add_params(*_params(alt))
        .properties(width="container", height=420)
        .properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
        .properties(description="Runs as points, colored by what became of them; drag to select")
    )


_TOLD = {"setting": "setting", "group": "fate", "xText": "across", "yText": "up"}


def _lines(description: str) -> Any:
    """Runs as thin lines; one run as a thick line with its points, another that was kept as a dashed one."""
    alt = altair()
    axes = _axes(alt)
    thin = (
        alt.Chart(alt.NamedData("lines"))
        .mark_line(strokeWidth=1, opacity=0.35, clip=True)
        .encode(**axes, detail="run:N", color=_group(alt, alt.Color, None))
    )
    goal = alt.Chart(alt.NamedData("goals")).mark_rule(strokeDash=[2, 3], color=alt.ExprRef("ink")).encode(y="y:Q")
    named = alt.Scale(domain=["this", "kept"], range=[[1, 0], [6, 4]])
    thick = (
        alt.Chart(alt.NamedData("chosen"))
        .mark_line(strokeWidth=2.6, color=alt.ExprRef("ink"), clip=True)
        .encode(x="x:Q", y="y:Q", strokeDash=alt.StrokeDash("which:N", scale=named, legend=None))
    )
    dots = (
        alt.Chart(alt.NamedData("points"))
        .mark_point(filled=True, size=42, color=alt.ExprRef("ink"), opacity=1, clip=True)
        .encode(x="x:Q", y="y:Q", tooltip=[alt.Tooltip("xText:N", title="at"), alt.Tooltip("yText:N", title="value")])
    )
    return (
        alt.layer(thin, goal, thick, dots)
        .add_params(*_params(alt))
        .properties(width="container", height=320, description=description)
        .properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    )

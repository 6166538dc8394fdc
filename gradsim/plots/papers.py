"""A figure on light and on dark paper at once: built and laid out once, every stroke drawn twice.

To build a figure takes as long as to draw it, and most of drawing is to find out where everything goes. The paper
changes colors alone: whatever Agg is told to draw, it is told again with other colors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backend_bases import GraphicsContextBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from PIL import Image

from gradsim.plots.themes import RGB, counterparts


def on_both_papers(figure: Figure, dpi: float) -> tuple[Image.Image, Image.Image]:
    """A light figure of ours in RGB, and the same on dark paper; the figure's dpi is set.

    Data in colors stay what they are, and so does what is drawn in colors that the style does not know.
    """
    figure.set_dpi(dpi)
    size = figure.canvas.get_width_height()
    renderer = _BothAgg(*size, dpi, counterparts(figure))
    figure.draw(renderer)
    light, dark = (Image.frombytes("RGB", size, pixels, "raw", "RGBX") for pixels in renderer.pixels())
    return light, dark


class _BothAgg(RendererAgg):
    """Draws in the given colors, and elsewhere in their counterparts."""

    def __init__(self, width: int, height: int, dpi: float, colors: Mapping[RGB, RGB]):
        super().__init__(width, height, dpi)
        self._papers = self._renderer, RendererAgg(width, height, dpi)._renderer
        self._renderer = _Twice(*self._papers, colors)
        self._update_methods()

    def pixels(self) -> list[memoryview]:
        return [memoryview(paper) for paper in self._papers]


class _Twice:
    """What RendererAgg hands its calls to, for two papers."""

    def __init__(self, light: Any, dark: Any, colors: Mapping[RGB, RGB]):
        self._light, self._dark, self._colors = light, dark, colors
        self.copy_from_bbox = light.copy_from_bbox
        self.draw_gouraud_triangles = light.draw_gouraud_triangles

    def draw_path(self, gc, path, transform, face):
        self._light.draw_path(gc, path, transform, face)
        self._dark.draw_path(self._recolored(gc), path, transform, self._color(face))

    def draw_markers(self, gc, marker, marker_transform, path, transform, face=None):
        self._light.draw_markers(gc, marker, marker_transform, path, transform, face)
        self._dark.draw_markers(self._recolored(gc), marker, marker_transform, path, transform, self._color(face))

    def draw_path_collection(self, gc, transform, paths, transforms, offsets, moved, faces, edges, *look, **more):
        self._light.draw_path_collection(gc, transform, paths, transforms, offsets, moved, faces, edges, *look, **more)
        more |= {name: self._rows(more[name]) for name in ("hatchcolors",) if name in more}
        colors = self._rows(faces), self._rows(edges)
        self._dark.draw_path_collection(
            self._recolored(gc), transform, paths, transforms, offsets, moved, *colors, *look, **more
        )

    def draw_quad_mesh(self, gc, *cells):
        self._light.draw_quad_mesh(gc, *cells)
        self._dark.draw_quad_mesh(self._recolored(gc), *cells)

    def draw_image(self, gc, x, y, image):
        self._light.draw_image(gc, x, y, image)
        self._dark.draw_image(self._recolored(gc), x, y, self._without_data(image))

    def draw_text_image(self, letters, x, y, angle, gc):
        self._light.draw_text_image(letters, x, y, angle, gc)
        self._dark.draw_text_image(letters, x, y, angle, self._recolored(gc))

    def _color(self, rgba: Any) -> Any:
        return None if rgba is None else (*self._colors.get(tuple(rgba[:3]), rgba[:3]), *rgba[3:])

    def _rows(self, colors: Any) -> np.ndarray:
        return np.array([self._color(color) for color in colors], float).reshape(-1, 4)

    def _recolored(self, gc: GraphicsContextBase) -> GraphicsContextBase:
        other = GraphicsContextBase()
        other.copy_properties(gc)
        other.set_foreground(self._color(gc.get_rgb()), isRGBA=True)
        if gc.get_hatch():
            other.set_hatch_color(self._color(mpl.colors.to_rgba(gc.get_hatch_color())))
        return other

    def _without_data(self, image: np.ndarray) -> np.ndarray:
        """An image, whose colors are data, with that changed which stands for their absence."""
        other = image.copy()
        cells, codes = other.view(np.uint32)[..., 0], image.view(np.uint32)[..., 0]
        for one, two in self._colors.items():
            cells[codes == _code(one)] = _code(two)
        return other


def _code(color: RGB) -> np.uint32:
    return np.round(255 * np.array([*color, 1.0])).astype(np.uint8).view(np.uint32)[0]

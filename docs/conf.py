"""How Sphinx builds the documentation: `sphinx-build -W -b html docs docs/_build`."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "_sphinx")]

project = "gradsim"
author = "the gradsim authors"
copyright = "the gradsim authors, MIT license"
release = metadata.version("gradsim")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "myst_nb",
    "docstrings",
    "tables",
]
exclude_patterns = ["_build", "_sphinx", "jupyter_execute", "*.py"]
default_role = "py:obj"
nitpicky = False

# --- Markdown and the notebook --------------------------------------------------------------------

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "auto"  # the notebook is kept without outputs, and run when the pages are built
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_output_stderr = "remove"  # progress

# --- docstrings -----------------------------------------------------------------------------------

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autosummary_generate = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Properties", "params_style")]

# --- pages ----------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"gradsim {release}"
html_static_path = ["_static"]
html_css_files = ["gradsim.css"]
html_copy_source = False
html_show_sphinx = False

"""How the documentation is built: ``make docs``, offline, warnings as errors."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

logging.basicConfig(level=logging.WARNING)  # first, or a package of the theme asks for more
logging.getLogger("nbclient").setLevel(logging.WARNING)
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "extensions")]

project = "looprate"
author = "The looprate developers"
project_copyright = "2026, " + author
extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "beside",
    "dark",
    "lessons",
    "mathml",
    "offline",
    "reference",
]
exclude_patterns = [
    "_build",
    "extensions",
    "examples",
    "figures/README.md",
    "items.md",
    "lessons/*.py",
    "slides",
]

# pages
html_theme = "furo"
html_title = "looprate"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["math.css", "figures.css"]
html_show_sphinx = False
html_copy_source = False
myst_enable_extensions = ["attrs_block", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# reference
autodoc_typehints = "none"  # the docstrings give types and shapes
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# gallery
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": ("figure_scraper.scrape",),
    "matplotlib_animations": False,
    "download_all_examples": False,
    "write_computation_times": False,
    "show_signature": False,
    "abort_on_example_error": True,
    "parallel": 2,
}

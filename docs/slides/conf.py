"""How the slides are built, after the site, whose gallery and lessons their figures are from."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "extensions")]

project = "looprate"
author = "The looprate developers"
project_copyright = "2026, " + author
extensions = ["myst_parser", "sphinx_revealjs", "mathml", "offline"]
myst_enable_extensions = ["attrs_block", "colon_fence", "dollarmath"]
html_math_renderer = "mathml"
html_static_path = ["../_static", "_static"]
exclude_patterns = ["_static"]

revealjs_static_path = html_static_path
revealjs_css_files = ["math.css", "slides.css"]
THEME, PLUGIN = "white", "notes"  # of those that come along, the ones that are used
revealjs_style_theme = THEME
revealjs_script_conf = {"hash": True, "transition": "none", "slideNumber": True, "width": 1100}
revealjs_script_plugins = [
    {"name": "RevealNotes", "src": f"revealjs/plugin/{PLUGIN}/notes.js"},
]


def remove_unused(app: Sphinx, exception: Exception | None) -> None:
    """Remove what no slide uses: other themes, some of which load from elsewhere, and plugins."""
    home = Path(app.outdir) / "_static" / "revealjs"
    kept = {f"{THEME}.css", "fonts", PLUGIN}
    for folder in (home / "dist" / "theme", home / "plugin"):
        for place in set(folder.glob("*")) - {folder / name for name in kept}:
            shutil.rmtree(place) if place.is_dir() else place.unlink()
    for place in home.rglob("*.map"):
        place.unlink()


def setup(app: Sphinx) -> None:
    """Remove before the slides are looked at for what they load."""
    app.connect("build-finished", remove_unused, priority=300)

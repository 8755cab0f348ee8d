"""What lies beside the pages: the explorer as one file, the handout, the slides, figures again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.logging import getLogger

from looprate.figures.drawing import redraw
from looprate.figures.explorer.static import write_static

LOG = getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]
#: Folders whose figures the pages show; each figure is drawn from the CSV file beside it.
STORED = (ROOT / "docs", ROOT / "results" / "reproduce-evening")


def write_beside(app: Sphinx, exception: Exception | None) -> None:
    """Write the explorer's page and the handout into a finished site, and draw its figures again.

    The figures of a page are those of the checkout until then: Sphinx has copied them.  What the
    site shows is drawn from rows here and now, and the rows lie beside it.
    """
    if exception is not None or app.builder.format != "html":
        return
    LOG.info("writing the explorer's page, the handout and the slides")
    out = Path(app.outdir)
    write_static(out / "explorer-page", rows=[ROOT / "docs"])
    redraw(ROOT / "docs", formats=["pdf"], to=out / "handout", handouts=True)
    write_slides(out / "slides")
    images = out / "_images"
    for folder in STORED:
        rows = {path.stem for path in (folder / "figures").glob("*.csv")}
        shown = sorted(rows & {path.stem for path in images.glob("*.png")})
        if not shown:
            continue
        LOG.info("drawing %d figures of %s", len(shown), folder.relative_to(ROOT))
        redraw(folder, formats=["png"], only=shown, to=images)


def write_slides(out: Path) -> None:
    """Write the slides, whose figures are those of the lessons and the gallery of this build."""
    run = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "revealjs"]
    folders = [ROOT / "docs" / "slides", out]
    done = subprocess.run([*run, *map(str, folders)], capture_output=True, text=True)
    if done.returncode:
        raise ExtensionError(f"the slides cannot be built:\n{done.stderr}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write before the site is looked at for dead links."""
    app.connect("build-finished", write_beside, priority=300)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Write docs/figures/explorer.png, the explorer in a browser: ``python docs/screenshot.py``.

Needs chromium and the packages bokeh and playwright; trained networks are those of the docs' rows.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "docs" / "figures" / "explorer.png"
SIZE = {"width": 1280, "height": 1400}  # the function, and its network
QUERY = "?loops=100000000&step=17&grid=4&point=0.33,0.6"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    """Serve, open, wait until everything is drawn, save."""
    command = [sys.executable, "-m", "looprate.figures.explorer", "--no-browser", "--rows", "docs"]
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with (
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child,
        sync_playwright() as run,
    ):
        address = child.stdout.readline().split()[0] if child.stdout else ""
        browser = run.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport=SIZE)
        page.goto(address + QUERY)
        page.get_by_text(re.compile("^After 17 of 34 loops")).wait_for()
        page.get_by_text("constructed, certified").wait_for()
        page.wait_for_timeout(1500)  # what comes after, and a frame
        page.screenshot(path=PLACE)
        browser.close()
        child.terminate()
    print(PLACE)


if __name__ == "__main__":
    main()

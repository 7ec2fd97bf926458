"""Pictures of the UI for the documentation: `python -m tests.browser.pictures DEMO_FOLDER docs`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image

from tests.browser.browsing import Browser, serve, why_not

COMMUNITY = "age-22-34"
UNCHANGED = "nothing_that_it_was_made_from_has_changed"
GROUPS = ("0_profiles", "0_sources", "1_data", "2_models", "3_evaluation")
_BOXES = """return [...document.querySelectorAll('foreignObject')]
  .map(e => e.getBoundingClientRect()).map(r => [r.left, r.top, r.right, r.bottom])"""
_ASIDE = """const dialog = document.querySelector('.dagster-dialog').parentElement;
  document.querySelectorAll('.bp5-overlay-backdrop').forEach(e => e.style.opacity = 0);
  dialog.style.transform = 'translate(440px, 290px)';"""
_PLACE = "return document.querySelector('.dagster-dialog').getBoundingClientRect().left"


def asset_graph(browser: Browser) -> Image.Image:
    """Every asset, its groups opened."""
    groups = ",".join(f"global@global:{name}" for name in GROUPS)
    browser.go(f"/asset-groups?expanded={groups}")
    browser.see("pluralism")
    boxes = browser.settle(_BOXES)
    left, top = (min(box[i] for box in boxes) - 20 for i in (0, 1))
    right, bottom = (max(box[i] for box in boxes) + 20 for i in (2, 3))
    with Image.open(browser.picture("graph")) as whole:
        return whole.crop((int(left), int(top), int(right), int(bottom)))


def materialisation(browser: Browser) -> Image.Image:
    """How one group's model was made: its figures and its curve above, its checks below."""
    browser.go(f"/assets/community-sft?view=partitions&partition={COMMUNITY}")
    browser.see("last loss")
    browser.click("Show Markdown")
    browser.image_width()
    browser.driver.execute_script(_ASIDE)
    browser.settle(_PLACE)
    above = browser.picture("above")
    browser.go(f"/assets/community-sft?view=checks&checkDetail={UNCHANGED}")
    browser.see("non-blocking")
    browser.click("Partitions", within="//button[@role='tab']/..")
    browser.see("Partitions Selected")
    browser.click(COMMUNITY, within="//*[@title]", which=-1)
    browser.see("Target materialization")
    below = browser.picture("below")
    with Image.open(above) as first, Image.open(below) as second:
        return stacked(first.crop((240, 0, 1485, 900)), second.crop((240, 104, 1485, 640)))


def stacked(first: Image.Image, second: Image.Image) -> Image.Image:
    """One picture above another."""
    both = Image.new("RGB", (first.width, first.height + second.height), "white")
    both.paste(first, (0, 0))
    both.paste(second, (0, first.height))
    return both


SIZES: Mapping[Callable[[Browser], Image.Image], tuple[int, int]] = {
    asset_graph: (2000, 2600),
    materialisation: (1500, 1100),
}


def main(demo: Path, target: Path) -> int:
    """Opens the UI on a demo and takes the pictures."""
    if missing := why_not():
        sys.stderr.write(f"no pictures: {missing}\n")
        return 2
    with tempfile.TemporaryDirectory() as name, serve(demo, os.environ, Path(name) / "log") as ui:
        for take, size in SIZES.items():
            browser = Browser(ui.url, Path(name), size)
            try:
                take(browser).save(target / f"{take.__name__.replace('_', '-')}.png", optimize=True)
            finally:
                browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()))

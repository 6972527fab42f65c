"""Measure reports/laboratory.html in Chromium: `python -m benchmarks.page`, with Debian's chromium and chromium-driver.

Prints, for each of five attempts, the seconds per 15,000 steps of a model, the frames per second while two models
train, and the longest task in ms if one took more than 50 ms. Other work on the machine makes an attempt worse.
"""

import sys
import tempfile
from pathlib import Path

from tests import browser
from tests.page.test_in_browser import PAGE, offline

PLAY = """
test_engine({do: 'cancel'}); document.getElementById('rate').value = '0'; long.length = 0;
window.frames_seen = new Set(); window.begin = performance.now(); window.done = 0;
const look = () => { frames_seen.add(view.step); if (view.step < 15000) requestAnimationFrame(look);
                     else done = performance.now(); };
look(); play(true);
"""


def main() -> None:
    if not (browser.CHROMIUM and browser.DRIVER):
        sys.exit(f"The page cannot be measured here: {browser.NEEDED}.")
    with tempfile.TemporaryDirectory() as folder, browser.browser(Path(folder)) as tab:
        offline(tab)
        for _ in range(5):
            tab.open(f"{PAGE.as_uri()}#b=zeros&step=0")
            tab.wait("return typeof view === 'object' && view.frames.a !== null && view.step === 0")
            tab.run(PLAY)
            seconds = tab.wait("return done && (done - begin) / 1000", seconds=100)
            frames, longest = tab.run("return frames_seen.size") / seconds, max([0, *tab.run("return long")])
            print(f"{seconds / 2:.2f} s per model, {frames:.0f} frames per second, longest task {longest:.0f} ms")


if __name__ == "__main__":
    main()

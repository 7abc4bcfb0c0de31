"""The page of a comparison, opened in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from rescli.report.page import comparison_page
from rescli.studies.curves import RunCurves
from rescli.studies.reproduction import NetCurves

ORIGIN = {"rescli_version": "0", "versions": {"torch": "2"}}
EVIL = "</script><img src=x onerror=alert(1)>&amp;"


def contender(label, error, **more):
    run = {"checkpoint": f"runs/{label}/last.safetensors", "iteration": 9, "train_error": error}
    run |= {"test_error": error + 1, "interval95": [error, error + 2], "train_seconds": 3.0}
    figure = {"mean": error, "std": None, "n": 1}
    errors = dict.fromkeys(("train_error", "val_error", "test_error", "best_test_error"), figure)
    row = {"label": label, "model": label, "dataset": "shapes", "protocol": "single", "params": 10}
    row |= {"macs": 1000, "train_seconds": 3.0, "images_per_second": 7.0, "scaled": True, "published": None}
    layers = [{"layer": f"conv{number}", "std": 1 / number} for number in (1, 2, 3)]
    return row | errors | {"test_sha256": ["ab" * 32], "runs": [run], "responses": {"layers": layers}} | more


def page(labels=("plain-8", "resnet-8", "resnet-14"), **more):
    contenders = [
        contender(label, error, **more) for label, error in zip(labels, (20.5, 9.25, 100.0), strict=True)
    ]
    pair = {"first": labels[0], "second": labels[1], "reason": "of other data", "verdict": ["Not ranked."]}
    points = ((10, 80.0), (20, 70.0))
    curves = [NetCurves(label, label, (RunCurves(points, points),)) for label in labels]
    return comparison_page(
        summary=["Degradation & its cure.", "And more."],
        contenders=contenders,
        pairs=[pair],
        origin=ORIGIN,
        curves=curves,
    )


@pytest.fixture
def opened(tmp_path):
    """``opened(html, script)``: the page's elements after ``script`` has run in it, and the browser's log."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")

    def open_(html, script="", *flags):
        # The page's own policy forbids scripts of others: only the copy that is tested lets this one in.
        if script:
            html = re.sub(r"script-src '[^']+'", "script-src 'unsafe-inline'", html)
            html = html.replace("</body>", f"<script>{script}</script></body>")
        (tmp_path / "page.html").write_text(html, encoding="utf-8")
        command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
        command += [f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=2000", *flags]
        command += ["--dump-dom", (tmp_path / "page.html").as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout, done.stderr

    return open_


def nets(dom):
    body = re.search(r'id="contenders".*?<tbody>(.*?)</tbody>', dom, re.S).group(1)
    return re.findall(r"<tr><td>(?:<span[^>]*></span>)?([^<]+)</td>", body)


def test_a_click_on_a_head_sorts_by_its_numbers(opened):
    click = "document.querySelectorAll('#contenders th')[3].click();"
    dom, log = opened(page(), click)
    assert nets(dom) == ["resnet-8", "plain-8", "resnet-14"]  # 9.25 20.50 100.00: not as text
    assert 'aria-sort="ascending"' in dom
    assert "CONSOLE" not in log, log
    dom, _ = opened(page(), click + click)
    assert nets(dom) == ["resnet-14", "plain-8", "resnet-8"]


def test_the_keyboard_sorts_too(opened):
    press = (
        "document.querySelector('#contenders th').dispatchEvent(new KeyboardEvent('keydown',{key:'Enter'}));"
    )
    dom, _ = opened(page(("b", "c", "a")), press)
    assert nets(dom) == ["a", "b", "c"]


def test_hovering_shows_the_value(opened):
    hover = "document.querySelectorAll('circle.dot')[1].dispatchEvent(new PointerEvent('pointerenter'));"
    dom, _ = opened(page(), hover)
    (shown,) = re.findall(r'<div id="tip"[^>]*>([^<]*)</div>', dom)
    assert shown == "plain-8 training: 70 % at iteration 20"
    assert "hidden" not in re.search(r'<div id="tip"[^>]*>', dom).group()


def test_unchanged_it_runs_by_its_own_policy(opened):
    """The hashes in the policy are those of the page's own script and style, and of nothing else."""
    dom, log = opened(page())
    assert dom.count('tabindex="0"') > 20  # set by the script
    assert "CONSOLE" not in log, log
    assert "Content Security" in opened(page().replace('"use strict"', '"use  strict"'))[1]


def test_light_and_dark(opened):
    light, _ = opened(page())
    dark, _ = opened(page(), "document.getElementById('theme').click();")
    assert ('class="dark"' in light, 'class="dark"' in dark) in ((False, True), (True, False))


def test_names_are_text_and_nothing_is_loaded_from_elsewhere(opened):
    html = page((EVIL, "b", "c"))
    assert "<img" not in html
    assert not re.search(r"""(?:src|href)\s*=|url\(|@import|https?://""", html.replace("img src=x", ""))
    dom, log = opened(html)
    assert "<img" not in dom
    assert "CONSOLE" not in log


def test_a_scaled_comparison_says_so():
    assert "scaled: not comparable" in page()
    assert "scaled: not comparable" not in page(scaled=False)


def test_without_curves_and_responses_there_are_no_charts():
    assert "<svg" in page()
    html = comparison_page(
        summary=[], contenders=[contender("a", 5.0, responses=None)], pairs=[], origin=ORIGIN, curves=[]
    )
    assert "<svg" not in html


def test_what_was_shown_stands_above_everything_else():
    html = page()
    first = html.index('<p class="summary">Degradation &amp; its cure.</p>')
    assert html.index("<h1>") < first < html.index('id="contenders"')

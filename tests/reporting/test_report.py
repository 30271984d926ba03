"""The report: one file, nothing outside it, the numbers of the runs; and in a real browser where there is one."""

import base64
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import numpy as np
import pytest
from PIL import Image

from hsi_cd.errors import ConfigError
from hsi_cd.evaluation import compare_maps, judge_map, reliability_curve
from hsi_cd.reporting.html import rendering
from hsi_cd.reporting.html.charts import curve_chart, reliability_chart
from hsi_cd.reporting.html.page import report_page
from hsi_cd.reporting.html.run_section import ReportRun, score_image
from hsi_cd.reporting.images import class_image, error_image
from hsi_cd.scene import Labels, Split

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def make(method="siamese", dataset="taizhou", seed=0, wrong=0.1, protocol="P1", bare=False) -> ReportRun:
    random = np.random.default_rng(7)
    truth = np.zeros((30, 40), np.uint8)
    truth[8:20, 10:30] = 1
    truth[25:] = 255
    labels = Labels(truth)
    train = np.array([0, 45, 330, 331])
    split = Split(protocol, seed, truth.shape, train)
    noise = np.random.default_rng([seed, int(1000 * wrong)]).random(truth.shape)
    change = np.where(noise < wrong, truth != 1, truth == 1).astype(np.uint8)
    score = np.clip(0.8 * change + 0.2 * random.random(truth.shape), 0, 1).astype(np.float32)
    score[0, 0] = np.nan
    result = judge_map(
        change,
        labels,
        dataset=dataset,
        method=method,
        split=split,
        probability=score,
        versions={"hsi-cd": "0.1.0"},
        details={"best_epoch": 41},
        train_seconds=1.5,
    )
    if bare:
        return ReportRun(result=result, change=change)
    dates = random.integers(0, 255, (2, 30, 40, 3)).astype(np.uint8)
    epochs = np.arange(1.0, 6.0)
    curves = {
        "epoch": epochs,
        "loss/train": 1 / epochs,
        "loss/val": np.full(5, np.nan),
        "kappa/val": 1 - 1 / epochs,
    }
    return ReportRun(
        result=result,
        change=change,
        score=score,
        t1=dates[0],
        t2=dates[1],
        labels=labels,
        split=split,
        curves=curves,
        config="seed: 0\n",
        folder=f"runs/{method}",
    )


class Page(HTMLParser):
    VOID = ("meta", "img", "link", "br")

    def __init__(self, text):
        super().__init__()
        self.text, self.stack, self.elements, self.words = text, [], [], []
        self.feed(text)
        assert not self.stack, "every element is closed"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] not in ("script", "style") and data.strip():
            self.words.append(data.strip())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


RUNS = [make("siamese", wrong=0.05), make("svm", wrong=0.2), make("siamese", "rennes"), make("siamese", seed=1)]


def test_nothing_comes_from_outside():
    page = Page(report_page(RUNS))
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    assert all(link["href"].startswith("#") for link in page.all("a"))
    assert not page.all("link") and not page.all("iframe")
    assert not any("src" in script for script in page.all("script"))
    assert "http://" not in page.text and "https://" not in page.text and "url(" not in page.text
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'")


def test_every_image_has_words_and_every_link_a_target():
    page = Page(report_page(RUNS))
    assert all(image["alt"] for image in page.all("img"))
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    assert {link["href"][1:] for link in page.all("a")} <= ids
    assert page.all("html") == [{"lang": "en"}]


def pixels(page, words):
    source = next(image["src"] for image in page.all("img") if image["alt"] == words)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))


def test_the_maps_are_those_of_the_runs():
    page = Page(report_page(RUNS[:2]))
    run = RUNS[1]
    np.testing.assert_array_equal(pixels(page, "Date 2"), RUNS[0].t2)
    np.testing.assert_array_equal(pixels(page, "Truth"), class_image(run.labels.values))
    np.testing.assert_array_equal(pixels(page, "Map, svm, seed 0"), class_image(run.change))
    errors = error_image(run.labels.values, run.change, train=run.split.train_mask())
    np.testing.assert_array_equal(pixels(page, "Errors, svm, seed 0"), errors)


def test_the_numbers_are_those_of_the_runs():
    page = Page(report_page(RUNS[:2]))
    for run in RUNS[:2]:
        assert f"{100 * run.result.scores['oa']:.2f}" in page.words
        assert f"{run.result.scores['kappa']:.4f}" in page.words
        assert f"{run.result.counts.fp:,}" in page.words
    (pair,) = compare_maps(
        RUNS[0].labels.values, {run.name: run.change for run in RUNS[:2]}, where=RUNS[0].judged()
    )
    at = page.words.index("siamese, seed 0 / svm, seed 0")
    assert page.words[at + 1 : at + 4] == [
        str(pair.test.only_first), str(pair.test.only_second), f"{pair.test.statistic:.2f}"
    ]  # fmt: skip
    assert "seed: 0" in page.words
    assert "best epoch" in page.words


def test_kinds_of_change_have_a_table():
    run = make(bare=True)
    details = {"kind 3/recall": 0.1234, "kind 3/pixels": 4321}
    page = Page(report_page([replace(run, result=replace(run.result, details=details))]))
    at = page.words.index("kind 3")
    assert page.words[at : at + 3] == ["kind 3", "4,321", "0.1234"]
    assert "Kind of change" not in Page(report_page([run])).words


def test_protocols_do_not_share_a_table():
    tables = [t for t in Page(report_page([make(), make("svm", protocol="P2")])).all("table") if t.get("class")]
    assert len(tables) == 2
    assert len([t for t in Page(report_page([make(), make("svm")])).all("table") if t.get("class")]) == 1


def test_a_run_with_nothing_but_its_map():
    page = Page(report_page([make(bare=True)]))
    assert [figure["data-layer"] for figure in page.all("figure")] == ["Map"]
    assert not page.all("svg")


def with_words(say) -> str:
    """A page on which every text that a run or a caller brings is what ``say`` makes of its name."""
    run = make(say("method"), say("dataset"), protocol=say("protocol"))
    names = {field: say(field) for field in ("scope", "hardware", "config", "checkpoint", "split")}
    details = {
        say("detail name").replace("/", ""): say("detail"),  # a name with / is a score of another scope
        f"kind {say('kind')}/recall": 0.5,
        f"kind {say('kind')}/pixels": 7,
        f"strict/{say('score')}": 0.25,
    }
    result = replace(
        run.result,
        **names,
        scores={**run.result.scores, say("score"): 0.75},
        versions={"hsi-cd": say("our version"), say("package"): say("version")},
        details=details,
    )
    other = make(say("other method"), say("dataset"), protocol=say("protocol"), wrong=0.3)
    run = replace(run, result=result, config=say("configuration"), folder=say("folder"))
    return report_page([run, other], title=say("title"))


def evil(field: str) -> str:
    return f"{field}\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;{{{{ 7 * 7 }}}}</style></title>"


def test_what_comes_from_files_is_never_an_element():
    page, harmless = Page(with_words(evil)), Page(with_words(lambda field: field))
    assert [(tag, sorted(attrs)) for tag, attrs in page.elements] == [
        (tag, sorted(attrs)) for tag, attrs in harmless.elements
    ], "the same elements with the same attributes, whatever the words are"
    seen = "\n".join(page.words + [value or "" for _, attrs in page.elements for value in attrs.values()])
    fields = "method dataset protocol scope hardware kind score package version title folder configuration detail"
    assert evil("detail name").replace("/", "") in seen
    for field in [*fields.split(), "our version", "other method"]:
        assert evil(field) in seen, f"{field} is shown as it is"


def test_no_template_lets_anything_past_the_escaping():
    folder = Path(rendering.__file__).parent
    for file in [*folder.rglob("*.py"), *folder.rglob("*.html")]:
        for way in ("|safe", "| safe", "Markup", "{% autoescape", "Environment(autoescape=False"):
            assert way not in file.read_text(encoding="utf-8"), file.name
    with pytest.raises(jinja2.UndefinedError):
        rendering.render("results.html")


def test_no_run_is_refused():
    with pytest.raises(ConfigError, match="no run"):
        report_page([])


def test_scores_of_any_range_are_shown():
    image = score_image(np.array([[0.0, 1.0, np.nan]]))
    assert image[0, 2].tolist() == [128, 128, 128]
    assert image[0, 0].sum() < 20 and image[0, 1].sum() > 500
    wide = score_image(np.linspace(-50, 900, 100).reshape(10, 10))
    assert wide[0, 0].sum() < 20 and wide[-1, -1].sum() > 500
    assert score_image(np.full((2, 2), np.nan)).tolist() == [[[128] * 3] * 2] * 2


def test_charts():
    x = np.array([1.0, 2.0, 3.0])
    chart = curve_chart(x, {"a": np.array([3.0, np.nan, 1.0]), "b": np.full(3, np.nan)}, title="Loss")
    (line,) = chart.lines
    assert line.name == "a"
    assert line.parts == ("56.0,24.0 388.0,194.0",), "the largest value at the top, the first epoch at the left"
    assert [words for _, words in chart.y_ticks] == ["1", "2", "3"]
    assert [words for _, words, _ in chart.x_ticks] == ["1", "3"]
    assert curve_chart(x, {"b": np.full(3, np.nan)}, title="") is None
    (line,) = curve_chart(x, {"constant": np.ones(3)}, title="").lines
    assert line.parts == ("56.0,109.0 222.0,109.0 388.0,109.0",)
    truth = np.array([0, 1], dtype=np.uint8)
    dots = reliability_chart(reliability_curve(np.array([0.2, 0.8]), truth)).dots
    assert dots == [("122.4", "194.0", "1 pixels"), ("321.6", "24.0", "1 pixels")]
    assert reliability_chart(reliability_curve(np.array([np.nan, np.nan]), truth)) is None


def test_charts_are_drawn():
    page = Page(report_page(RUNS[:1]))
    assert [svg["aria-label"] for svg in page.all("svg")] == [
        "Loss",
        "Kappa on validation",
        "Share of changed pixels over their probability",
    ]
    assert [line["class"] for line in page.all("polyline")] == ["a", "a", "a"]
    curve = reliability_curve(RUNS[0].score, np.where(RUNS[0].judged(), RUNS[0].labels.values, 255))
    assert len(page.all("circle")) == (curve.count > 0).sum()


DRIVE = """
<script>
const stage = document.querySelector(".stage"), figures = [...stage.querySelectorAll("figure")], log = [];
const seen = () => figures.filter((f) => !f.hidden).map((f) => f.dataset.layer + "|" + f.dataset.run).join();
const key = (key) => stage.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
const at = () => figures[0].style.transform;
log.push(seen()); key("2"); log.push(seen()); key("5"); log.push(seen());
const select = document.querySelector(".toolbar select");
select.value = "svm, seed 0"; select.dispatchEvent(new Event("change")); log.push(seen());
const fitted = at(); key("+"); log.push(at() !== fitted); key("0"); log.push(at() === fitted);
stage.dispatchEvent(new WheelEvent("wheel", {deltaY: -200, cancelable: true})); log.push(at() !== fitted);
key("1"); key("2"); key("b");
setTimeout(() => {
  log.push(seen()); key("Escape");
  log.push(document.querySelectorAll("[aria-pressed=true]").length);
  document.title = JSON.stringify(log);
}, 900);
</script></body>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_in_a_real_browser(tmp_path):
    page = tmp_path / "report.html"
    page.write_text(report_page(RUNS[:2]).replace("</body>", DRIVE), encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=4000",
            "--enable-logging=stderr",
            "--v=0",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "CONSOLE" not in done.stderr, "no script error, no refused content"
    title = re.search(r"<title>(.*?)</title>", done.stdout).group(1)
    assert json.loads(title) == [
        "Date 1|",
        "Date 2|",
        "Errors|siamese, seed 0",
        "Errors|svm, seed 0",
        True,
        True,
        True,
        "Date 1|",
        1,
    ]

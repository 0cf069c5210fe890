"""The report stands alone, trusts no text, shows pictures, and says the same each time."""

import base64
import io
import re
import shutil
import socket
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from handful import report
from handful.comparison import Rival
from handful.findings import Findings
from handful.image import content
from tests.toy_findings import leaning, toy

HOSTILE = """"'><script>alert(1)</script><img src=http://127.0.0.1:{port}/x onerror=alert(1)>{{{{ 7 * 7 }}}}</title>"""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Collects the tags, the attributes and the visible text of a document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def texts(classes: int = 3, rows: int = 60) -> Findings:
    names = [f"label_{n:03}" for n in range(classes)]
    return toy([names[row % classes] for row in range(rows)], names, [f"text number {row}" for row in range(rows)])


def hostile(port: int = 9) -> Findings:
    """Findings whose every text comes from somebody who wants to harm the reader."""
    bad = HOSTILE.format(port=port)
    names = [bad, "b", "c"]
    truth = ["new" + bad, *(names[row % 3] for row in range(59))]
    rival = Rival(bad, None, None, False)
    return toy(truth, names, [f"{row} {bad}" for row in range(60)], origin=bad, reason=bad, rival=rival)


def images() -> Findings:
    picture = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(picture, "PNG")
    names = ["0", "1"]
    truth = [names[row % 2] for row in range(40)]
    return toy(truth, names, [picture.getvalue()] * 40, leaning(truth, names, 0.0, 1), content=content)


@pytest.mark.parametrize("classes", [2, 12, 77, 150])
def test_nothing_is_loaded_from_elsewhere(classes: int) -> None:
    page = Page(report.html(texts(classes, 300)))
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    loading = ("src", "href", "srcset", "data", "poster", "action")
    sources = [value for name, value in page.attributes if name in loading]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", report.html(texts(classes, 300)))


def test_markup_in_texts_and_labels_is_shown_and_not_obeyed() -> None:
    page = Page(report.html(hostile()))
    assert not {"script", "img"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert page.text.count("<script>alert(1)</script>") > 10
    assert page.text.count("{{ 7 * 7 }}") > 10


def test_the_page_forbids_scripts_and_foreign_sources() -> None:
    [policy] = [value for name, value in Page(report.html(texts())).attributes if value.startswith("default-src")]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_rows_that_are_images_are_shown_as_pictures() -> None:
    page = Page(report.html(images()))
    sources = [value for name, value in page.attributes if name == "src"]
    assert len(sources) >= 10
    for source in sources:
        with Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/png;base64,")))) as picture:
            assert picture.size == (8, 8)


def test_a_large_picture_is_shown_small() -> None:
    noise = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 600, 3), dtype=np.uint8)).save(noise, "JPEG")
    truth = ["0", "1"] * 10
    probabilities = leaning(truth, ["0", "1"], 0.0, 1)
    findings = toy(truth, ["0", "1"], [noise.getvalue()] * 20, probabilities, content=content)
    assert len(report.html(findings)) < 20 * len(noise.getvalue()) / 10


def test_the_headline_is_the_accuracy_of_the_student() -> None:
    findings = texts()
    accuracy = report.percent(float(np.mean(findings.guesses == findings.test["label"])))
    assert f"<h1>{accuracy} of 60 test rows right</h1>" in report.html(findings)
    assert report.markdown(findings).startswith(f"# {accuracy} of 60 test rows right\n")


def test_the_weakest_class_comes_first() -> None:
    recalls = re.findall(r'<td class="wide">.*?</td><td>([\d.]+)', report.html(texts(30, 300)))
    assert len(recalls) == 30
    assert [float(recall) for recall in recalls] == sorted(float(recall) for recall in recalls)


def test_labels_that_training_never_had_are_said() -> None:
    findings = toy(["a", "b", "new"], ["a", "b"], ["x", "y", "z"])
    assert "a label that the training data never had: new (1 row)." in Page(report.html(findings)).text


def test_a_student_without_mistakes_has_a_report_too() -> None:
    findings = toy(list("abc"), list("abc"), ["x", "y", "z"], np.eye(3))
    assert "The surest mistakes" not in report.html(findings)
    assert "No two labels were confused" in report.markdown(findings)


def test_the_same_findings_give_the_same_report() -> None:
    assert report.html(texts()) == report.html(texts())
    assert report.markdown(texts()) == report.markdown(texts())


def test_the_summary_keeps_its_tables_whatever_the_labels_hold() -> None:
    names = ["a|b\n# c", "![x](http://127.0.0.1/x)"]
    truth = [names[row % 2] for row in range(40)]
    summary = report.markdown(toy(truth, names, truth, leaning(truth, names, 0.0, 1)))
    assert re.findall(r"(?<!\\)!\[.*?\]\((.*?)\)", summary) == ["confusion.png"]
    tables = [block.splitlines() for block in summary.split("\n\n") if block.startswith("|")]
    assert len(tables) == 3
    for header, *rows in tables:
        assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {header.count("|")}


def test_the_champion_stands_beside_the_challenger_with_verdict_and_drift() -> None:
    findings = toy(list("abab") * 9, ["a", "b"], ["x", "y"] * 18, rival=Rival("v3", None, None, False))
    page, summary = Page(report.html(findings)).text, report.markdown(findings)
    reason = findings.metrics["verdict"]["reason"]
    assert reason in page
    assert f"| champion (v3) | {report.percent(findings.metrics['champion']['accuracy'])}" in summary
    assert f"**{findings.metrics['verdict']['decision'].capitalize()}.**" in summary
    assert "How far from the data of the champion v3" in page
    assert "a had 50.0 % of the rows, now 37.5 %" in page


def test_without_a_champion_nothing_is_said_of_one() -> None:
    assert "hampion" not in report.html(texts()) + report.markdown(texts())


def test_the_candidates_are_shown_as_they_were_cross_validated() -> None:
    page, summary = Page(report.html(texts())).text, report.markdown(texts())
    assert "contrastive fine tuning80.0\u00a0%0.700–chosen" in page
    assert "linear probe75.0\u00a0%0.700−5.0 ± 2.0 points" in page
    told = "The teacher was made by contrastive fine tuning; 80.0\u00a0% right in cross-validation."
    assert told in page
    assert told in summary
    assert "not cross-validated" not in page + summary


def test_a_teacher_that_was_not_cross_validated_has_the_reason_and_no_numbers() -> None:
    reason = "24 labelled rows are too few to tell candidates apart, 100 are asked for"
    numbers = dict.fromkeys(["accuracy", "log_loss", "gain", "standard_error"])
    alone = {"kind": "contrastive_fine_tuning", "chosen": True, "reason": reason, **numbers}
    findings = texts()
    findings = replace(findings, crossvalidation={**findings.crossvalidation, "candidates": [alone], "guessed": []})
    page, summary = Page(report.html(findings)).text, report.markdown(findings)
    told = f"The teacher was made by contrastive fine tuning; not cross-validated: {reason}."
    assert told in page
    assert told in summary
    assert "None" not in page + summary
    assert "best before" not in page


def test_the_rows_of_the_pool_that_the_teacher_learned_from_past_the_gate_are_told() -> None:
    findings = texts()
    told = (
        "Self-training, which the gate does not judge, let it learn from 1,234 rows of the pool with guessed labels of "
        "2 classes; they are in guessed.parquet, beside the teacher. "
        "Its opinions: head 25.0\u00a0%, surface 50.0\u00a0%, nearest rows 25.0\u00a0%."
    )
    assert told in Page(report.html(findings)).text
    assert told in report.markdown(findings)
    nothing = replace(findings, crossvalidation={**findings.crossvalidation, "guessed": []})
    assert "Self-training" not in report.html(nothing) + report.markdown(nothing)


def test_how_often_the_student_says_what_its_teacher_says_is_told() -> None:
    findings = texts()
    told = "On 80 pool rows kept from it, student and teacher agree on 91.2\u00a0%."
    small = replace(findings, distillation={"agreement": {"linear": None}, "rows": {"unseen": 0}})
    for one, expected in ((findings, told), (small, "The pool is too small to keep rows of it apart")):
        assert expected in Page(report.html(one)).text
        assert expected in report.markdown(one)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
def test_a_browser_shows_the_report_and_asks_no_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / "hostile.html").write_text(report.html(hostile(port)), encoding="utf-8")
        (tmp_path / "loading.html").write_text(f"<img src='http://127.0.0.1:{port}/x'>", encoding="utf-8")
        assert "test rows right</h1>" in render(tmp_path / "hostile.html")
        server.settimeout(0.5)
        with pytest.raises(TimeoutError):
            server.accept()
        # The same browser does ask where a page lets it, so the silence above means something.
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command(tmp_path / "loading.html"), **silent) as browser:
            server.settimeout(60)
            server.accept()[0].close()
            browser.terminate()


def command(page: Path) -> list[str]:
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    switches += ["--disable-background-networking", f"--user-data-dir={page.with_suffix('')}"]
    return [str(CHROMIUM), *switches, "--dump-dom", page.as_uri()]


def render(page: Path) -> str:
    """The document as the browser holds it once the page is loaded."""
    finished = subprocess.run(command(page), capture_output=True, text=True, timeout=120, check=True)
    return finished.stdout

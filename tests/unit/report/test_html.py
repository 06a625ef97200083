"""The report: whole, self-contained, well-formed, and showing what the records hold."""

from __future__ import annotations

import itertools
import math
import re
from html.parser import HTMLParser

import pytest
from report_runs import make_evaluation, make_file, make_full_run, make_measurement, make_minimal_run, make_picture

from edgewise.records.artifact import LayerPrecision
from edgewise.records.data import SkippedFile
from edgewise.records.paired import PairedTop1
from edgewise.report import html
from edgewise.report.html import render_report, write_report

VOID = {"meta", "link", "img", "br", "hr", "input", "wbr", "source", "col"}
HOSTILE = "<script>alert(1)</script>\"' onload=x & \u202e\n"


class Page(HTMLParser):
    """Collects tags, ids, headings and text, and notes every tag that does not balance."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        self.text = re.sub(r"\s+", " ", "".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def attributes(self, name):
        return [attributes[name] for _, attributes in self.tags if name in attributes]


RUNS = {
    "minimal": make_minimal_run,
    "full": make_full_run,
    "two classes, one epoch": lambda: make_full_run(("cat", "dog"), epochs=1),
    "200 classes": lambda: make_full_run(tuple(f"class {i}" for i in range(200)), epochs=3),
    "hostile": lambda: make_full_run((HOSTILE, "b", "猫")),
}


@pytest.fixture(scope="module")
def full_run():
    return make_full_run()


@pytest.fixture(scope="module", params=RUNS, name="page")
def rendered_page(request):
    return render_report(RUNS[request.param]())


def test_every_page_is_well_formed(page):
    parsed = Page(page)
    assert parsed.wrong == []
    assert parsed.open == []
    ids = parsed.attributes("id")
    assert len(ids) == len(set(ids))
    links = [link for link in parsed.attributes("href") if link.startswith("#")]
    assert {link[1:] for link in links} <= set(ids)
    assert links


def test_every_page_is_self_contained(page):
    parsed = Page(page)
    assert all(source.startswith("data:image/png;base64,") for source in parsed.attributes("src"))
    assert all(link.startswith("#") for link in parsed.attributes("href"))
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in parsed.tags}
    assert "@import" not in page
    assert "url(" not in page
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert policy in parsed.attributes("content")


def test_headings_come_in_order_and_pictures_have_texts(page):
    parsed = Page(page)
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    for tag, attributes in parsed.tags:
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes.get("role") == "img" or attributes.get("aria-hidden") == "true"


def test_no_page_shows_none_or_nan(page):
    text = Page(page).text
    assert not re.search(r"\b(None|nan|NaN|Undefined)\b", text)
    assert "nan%" not in page


def test_the_numbers_are_the_records(full_run):
    text = Page(render_report(full_run)).text
    for expected in (
        "96.4 %",  # top-1
        "95 % interval 93.9–97.9 %",
        "1 min 12 s",
        "best top-1 98.0 % at epoch 7",
        "612.0 MB",
        "2.51 M parameters, 9.88 M MACs",
        "4.21 ms",
        "84 %",  # of the budget
        "0.988 ms",
        "0.968–1.01",
        "1.09 ms",
        "10.0 MB",
        "−0.5",
        "99.4 %",
        "3.1e-06",
        "3.1e-07",
        "1 × 32 × 16 × 16",
        "221.2 k",
        "truncated after 812 bytes",
        "stratified 80/20, seed 0",
        "3 pictures have the same pixels",
        "edgewise quickstart --name 'fit 3'",
        "lr: 0.004",
        "- randaugment",
        "Some CPU @ 2.5 GHz",
        "2026-10-03 14:22 UTC",
        "3 of 3 files verified, 2 of 4 times trusted",
        "drift of 31 % between halves",
    ):
        assert expected in text, expected


def test_mixed_precision_shows_its_layers_and_the_fall_its_interval():
    file = make_file("mixed.onnx", "int8", 0.98, None)
    layers = tuple(
        LayerPrecision(name=f"stages.{number}.conv", sqnr_db=10.0 + number, in_float=number < 2) for number in range(9)
    )
    proof = file.artifact.verification.model_copy(
        update={"paired": PairedTop1.counted(both=970, model_only=9, file_only=4, neither=17), "forced": True}
    )
    artifact = file.artifact.model_copy(update={"layers": layers, "verification": proof})
    page = Page(render_report(make_minimal_run(files=(file.model_copy(update={"artifact": artifact}),))))
    assert page.wrong == []
    assert "2 of 9 layers stayed in float, the most sensitive ones. Each was put into int8 alone" in page.text
    assert "stages.0.conv10.0float stages.1.conv11.0float stages.2.conv12.0int8" in page.text
    assert "stages.6.conv" in page.text
    assert "stages.7.conv" not in page.text, "what is far from the border is in the record alone"
    assert "top-1 changes by −0.50 points on 1,000 images (95 % interval −1." in page.text
    assert "Kept on demand although it failed." in page.text


def test_the_best_file_is_marked_and_the_rejected_one_greyed(full_run):
    page = render_report(full_run).replace("<wbr>", "")
    assert "Fastest file within the accuracy limit: model_int8.onnx" in page
    best = re.findall(r'<tr class="best">.*?</tr>', page, flags=re.DOTALL)
    assert any("model_int8." in row for row in best)
    rejected = re.findall(r'<tr class=" rejected">.*?</tr>', page, flags=re.DOTALL)
    assert len(rejected) == 1
    assert "model_fp32_b8." in rejected[0]
    assert page.count('<svg class="interval greyed"') == 1
    assert page.count('<svg class="interval "') == 3


def test_wrong_answers_are_marked(full_run):
    page = render_report(full_run)
    wrong = [sample for sample in full_run.samples if sample.top[0][0] != sample.truth]
    assert page.count('<figure class="sample wrong">') == len(wrong) == 3
    assert page.count('class="tiny"') == len(full_run.samples)


def test_names_from_users_are_escaped_everywhere():
    run = make_full_run((HOSTILE, "b", "c"))
    hostile = {"name": HOSTILE, "model": HOSTILE, "command": HOSTILE, "config": {HOSTILE: HOSTILE}}
    data = run.data.model_copy(
        update={
            "source": HOSTILE,
            "notes": (HOSTILE,),
            "split": HOSTILE,
            "skipped": (SkippedFile(path=HOSTILE, reason=HOSTILE),),
        }
    )
    files = (make_file(HOSTILE, "fp32", 0.9, make_measurement("x", 1.0)), make_file(HOSTILE, "int8", 0.9, None))
    samples = (run.samples[0].model_copy(update={"image_png_base64": HOSTILE, "top": ((HOSTILE, math.nan),)}),)
    page = render_report(run.model_copy(update={**hostile, "data": data, "files": files, "samples": samples}))
    parsed = Page(page)
    assert "<script" not in page
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert not parsed.attributes("onload")
    assert parsed.wrong == []
    assert parsed.text.count("<script>alert(1)</script>") > 20


def test_a_minimal_run_has_only_the_parts_that_are_there():
    parsed = Page(render_report(make_minimal_run()))
    assert [id_ for id_ in parsed.attributes("id") if not id_.endswith("-title")] == ["card", "data", "reproduce"]
    assert "81 to train, 17 to validate" in parsed.text


def test_values_that_are_not_finite_leave_gaps(full_run):
    epochs = tuple(
        epoch.model_copy(update={"val_loss": math.nan if epoch.epoch in {1, 4} else epoch.val_loss})
        for epoch in full_run.training.epochs
    )
    training = full_run.training.model_copy(update={"epochs": epochs})
    measurement = make_measurement("x", math.nan, ci_low_ms=math.inf)
    files = (*full_run.files, make_file("x.onnx", "fp32", math.nan, measurement))
    page = render_report(full_run.model_copy(update={"training": training, "files": files}))
    assert page.count('class="line-b"') == 3  # validation loss in two runs, top-5 in one
    assert not re.search(r"\b(nan|inf)\b", page)


def test_few_classes_get_labelled_cells_and_many_a_picture():
    few = render_report(make_full_run(tuple(f"c{i}" for i in range(40)), epochs=1))
    many = render_report(make_full_run(tuple(f"c{i}" for i in range(41)), epochs=1))
    assert '<svg class="matrix"' in few
    assert '<img class="matrix-picture"' not in few
    assert '<svg class="matrix"' not in many
    assert '<img class="matrix-picture"' in many
    assert "All 41 classes" in many


def test_incomplete_costs_are_said(full_run):
    cost = full_run.cost.model_copy(update={"unknown": ("aten.fft.default",)})
    text = Page(render_report(full_run.model_copy(update={"cost": cost}))).text
    assert "No rule covers: aten.fft.default; their cost is in none of the sums." in text


def test_a_perfect_matrix_has_no_confused_pairs(full_run):
    evaluation = make_evaluation(("only",)).model_copy(update={"labels": ("a", "b"), "confusion": ((3, 0), (0, 4))})
    text = Page(render_report(full_run.model_copy(update={"evaluation": evaluation}))).text
    assert "No image was taken for another class." in text


def test_the_file_is_written_whole_or_not_at_all(tmp_path, full_run, monkeypatch):
    path = tmp_path / "report.html"
    write_report(full_run, path)
    assert path.read_text(encoding="utf-8") == render_report(full_run)

    def broken(_run):
        raise RuntimeError("broken")

    before = path.read_bytes()
    monkeypatch.setattr(html, "render_report", broken)
    with pytest.raises(RuntimeError, match="broken"):
        write_report(full_run, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_only_small_pictures_are_tiny():
    assert html.is_tiny_picture(make_picture(95))
    assert not html.is_tiny_picture(make_picture(96))
    assert not html.is_tiny_picture("no base64 !")
    assert not html.is_tiny_picture("")


def test_the_data_set_is_named_without_its_folders_and_unknown_macs_are_a_dash():
    run = make_full_run()
    data = run.data.model_copy(update={"source": "/home/someone/private/photos.tar"})
    choice = run.choice.model_copy(
        update={"candidates": tuple(each.model_copy(update={"macs": None}) for each in run.choice.candidates)}
    )
    page = render_report(run.model_copy(update={"data": data, "choice": choice})).replace("<wbr>", "")
    assert "photos.tar" in page
    assert "private" not in page

"""Tables over many runs: numbers, ranks, layouts, refusals, formats."""

import csv
import io
import math
import shutil
import statistics
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsi_cd.errors import ConfigError, UnknownNameError
from hsi_cd.evaluation import Baselines, ClassCounts, ConfusionCounts, RunResult, all_scores
from hsi_cd.evaluation.intervals import bootstrap_pixels, bootstrap_seeds
from hsi_cd.reporting.captions import seeds_in_words
from hsi_cd.reporting.comparison import compare_results
from hsi_cd.reporting.formats import FORMATS, results_table


def run(method="siamese", dataset="taizhou", seed=0, wrong=100, **changes) -> RunResult:
    counts = ConfusionCounts(tn=6000 - wrong, fp=wrong, fn=wrong // 2, tp=2000 - wrong // 2)
    facts = {
        "protocol": "P1",
        "scope": "held-out",
        "train": ClassCounts(60, 20),
        "test": ClassCounts(6000, 2000),
        "scores": all_scores(counts),
        "baselines": Baselines(floor_oa=0.9 + seed / 100, floor_kappa=0.7, majority_oa=0.75),
        "parameters": 86_312,
        "train_seconds": 13.25 + seed,
        "map_seconds": 2.5,
    }
    return RunResult(dataset=dataset, method=method, seed=seed, counts=counts, **(facts | changes))


# siamese beats svm beats cva; cva has no run on rennes.
RUNS = [
    *(run("siamese", "taizhou", seed, 40 + 10 * seed) for seed in range(3)),
    *(run("svm", "taizhou", seed, 100 + 20 * seed) for seed in range(3)),
    *(run("cva", "taizhou", seed, 400, parameters=None) for seed in range(3)),
    *(run("siamese", "rennes", seed, 90) for seed in range(3)),
    *(run("svm", "rennes", seed, 60 + seed) for seed in range(3)),
]


def cell(table, label, column, group=None):
    place = table.columns.index(column) + len(table.columns) * (table.groups.index(group) if group else 0)
    return next(row for row in table.rows if row.label == label).cells[place]


@pytest.mark.parametrize("ddof", [0, 1])
def test_the_numbers_are_those_of_the_runs(ddof):
    (table,) = compare_results(RUNS, ddof=ddof)
    for dataset in ("taizhou", "rennes"):
        for method in ("siamese", "svm"):
            for name, column in (("oa", "OA (%)"), ("kappa", "Kappa"), ("f1", "F1")):
                values = [r.scores[name] for r in RUNS if (r.method, r.dataset) == (method, dataset)]
                found = cell(table, method, column, dataset)
                factor, digits = (100, 2) if name == "oa" else (1, 4)
                assert found.value == f"{factor * statistics.mean(values):.{digits}f}"
                spread = statistics.stdev(values) if ddof else statistics.pstdev(values)
                assert found.spread == f"{factor * spread:.{digits}f}"
                assert found.count == 3


def test_best_and_second_of_each_scene_and_score():
    (table,) = compare_results(RUNS)
    ranks = {
        label: [c.rank if c else None for c in cells] for label, cells in ((r.label, r.cells) for r in table.rows)
    }
    assert ranks["siamese"] == [1, 1, 1, 2, 2, 2]
    assert ranks["svm"] == [2, 2, 2, 1, 1, 1]
    assert ranks["cva"] == [0, 0, 0, None, None, None]
    assert ranks["coordinate floor"] == [0, 0, None, 0, 0, None]
    assert ranks["majority class"] == [0, None, None, 0, None, None]


@pytest.mark.parametrize(
    ("wrongs", "ranks"),
    [
        ([100, 100, 200, 300], [1, 1, 2, 0]),
        ([50, 100, 100, 300], [1, 2, 2, 0]),
        ([100, 100, 100], [1, 1, 1]),
        ([100], [0]),
        ([100, 200], [1, 2]),
    ],
)
def test_ties_share_a_rank(wrongs, ranks):
    (table,) = compare_results([run(f"m{i}", wrong=wrong) for i, wrong in enumerate(wrongs)], baselines=False)
    assert [row.cells[0].rank for row in table.rows] == ranks


def test_what_looks_the_same_ranks_the_same():
    close = [run("a", scores={"oa": 0.900001}), run("b", scores={"oa": 0.9}), run("c", scores={"oa": 0.8})]
    (table,) = compare_results(close, scores=["oa"], baselines=False)
    assert [row.cells[0].rank for row in table.rows] == [1, 1, 2]


def test_an_undefined_score_has_no_rank_and_the_lowest_error_is_best():
    runs = [run("a", scores={"f1": math.nan, "ece": 0.2}), run("b", scores={"f1": 0.1, "ece": 0.1})]
    (table,) = compare_results(runs, scores=["f1", "ece"], baselines=False)
    assert [[c.value for c in row.cells] for row in table.rows] == [["undefined", "0.2000"], ["0.1000", "0.1000"]]
    assert [[c.rank for c in row.cells] for row in table.rows] == [[0, 2], [1, 1]]


@given(st.lists(st.integers(1, 1500), min_size=2, max_size=6), st.randoms())
def test_ranks_follow_the_numbers_in_any_order(wrongs, random):
    runs = [run(f"m{i}", wrong=wrong) for i, wrong in enumerate(wrongs)]
    random.shuffle(runs)
    (table,) = compare_results(runs, scores=["oa"], baselines=False)
    found = {row.label: row.cells[0] for row in table.rows}
    printed = sorted({float(c.value) for c in found.values()}, reverse=True)
    for c in found.values():
        assert c.rank == {0: 1, 1: 2}.get(printed.index(float(c.value)), 0)


def test_the_four_layouts():
    (methods,) = compare_results(RUNS, rows="method", columns="dataset", baselines=False)
    (datasets,) = compare_results(RUNS, rows="dataset", columns="method")
    per_scene = compare_results(RUNS, rows="method", columns="score", baselines=False)
    per_method = compare_results(RUNS, rows="dataset", columns="score")
    assert [t.title for t in (methods, datasets, *per_scene, *per_method)] == [
        "", "", "taizhou", "rennes", "siamese", "svm", "cva"
    ]  # fmt: skip
    for dataset, scene in zip(("taizhou", "rennes"), per_scene, strict=True):
        for method, of_method in zip(("siamese", "svm", "cva"), per_method, strict=True):
            for column in ("OA (%)", "Kappa", "F1"):
                expected = cell(methods, method, column, dataset)
                assert cell(datasets, dataset, column, method) == expected
                assert cell(scene, method, column) == expected
                assert cell(of_method, dataset, column) == expected


def test_costs_are_there_where_they_were_measured():
    runs = [run("a", details={"flops": 1.5e9}), run("b", parameters=None), run("a", "rennes")]
    costs = ("parameters", "flops", "train_seconds", "map_seconds")
    table = compare_results(runs, columns="score", scores=["oa"], costs=costs, baselines=False)[0]
    assert table.columns == ("OA (%)", "Parameters", "FLOPs", "Train (s)", "Map (s)")
    assert [c.value for c in table.rows[0].cells[1:]] == ["86,312", "1.5 G", "13.2", "2.5"]
    assert [c and c.value for c in table.rows[1].cells[1:]] == [None, None, "13.2", "2.5"]
    assert all(c is None or c.rank == 0 for row in table.rows for c in row.cells[1:])
    assert "FLOPs" not in compare_results([run()], costs=costs)[0].columns


def test_intervals_stand_beside_the_mean():
    runs = [run(seed=seed, wrong=100 + 30 * seed) for seed in range(4)]
    (pixels,) = compare_results(runs, scores=["kappa"], interval="pixels")
    (seeds,) = compare_results(runs, scores=["kappa"], interval="seeds")
    expected = bootstrap_pixels([r.counts for r in runs], scores=["kappa"])["kappa"]
    assert cell(pixels, "siamese", "Kappa", "taizhou").ends == (f"{expected.low:.4f}", f"{expected.high:.4f}")
    expected = bootstrap_seeds([r.scores["kappa"] for r in runs])
    assert cell(seeds, "siamese", "Kappa", "taizhou").ends == (f"{expected.low:.4f}", f"{expected.high:.4f}")
    assert "bootstrap interval over test pixels" in pixels.caption
    assert "[" in results_table(runs, interval="pixels")


def test_the_baselines_are_averaged_over_seeds_once_for_all_methods():
    (table,) = compare_results(RUNS)
    floor = cell(table, "coordinate floor", "OA (%)", "taizhou")
    assert (floor.value, floor.spread, floor.count) == ("91.00", "1.00", 3)
    assert [row.label for row in table.rows if row.apart] == ["coordinate floor"]
    assert len(compare_results(RUNS, scores=["f1"])[0].rows) == 3


def test_the_caption_tells_protocol_scope_seeds_and_ddof():
    (table,) = compare_results([*RUNS, run("cva", "rennes", 7)])
    assert table.caption == (
        "Protocol P1, scored on held-out pixels; trained on unchanged + changed pixels 60 + 20 (taizhou), 60 + 20 "
        "(rennes). Mean ± standard deviation (ddof = 1), seeds 0-2. Other seeds: cva on rennes: seed 7. OA in %."
    )
    assert "One run each, seed 4." in compare_results([run(seed=4)])[0].caption


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ([], "no seed"),
        ([None], "no seed"),
        ([3], "seed 3"),
        ([0, 1], "seeds 0, 1"),
        ([9, 0, 1, 2, 4], "seeds 0-2, 4, 9"),
    ],
)
def test_seeds_in_words(seeds, words):
    assert seeds_in_words(seeds) == words


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (run("b", protocol="P2"), "protocol P1 .* but b on taizhou, seed 0, of P2"),
        (run("b", scope="all labelled"), "all labelled"),
        (run(), "siamese on taizhou, seed 0, is given twice"),
        (run("b", train=ClassCounts(300, 100)), r"60 \+ 20 pixels but b on taizhou, seed 0, on 300 \+ 100"),
    ],
)
def test_what_cannot_share_a_table_is_refused_on_one_line(other, message):
    with pytest.raises(ConfigError, match=message) as caught:
        results_table([run(), other])
    assert "\n" not in str(caught.value)


def test_blocks_and_methods_without_training_may_differ_in_training_pixels():
    compare_results([run(protocol="P3"), run(protocol="P3", seed=1, train=ClassCounts(90, 5))])
    compare_results([run("cva", train=None), run(), run("svm", seed=1)])
    with pytest.raises(ConfigError, match="numbers of labels"):
        compare_results([run("cva", train=None), run(), run("svm", train=ClassCounts(1, 1))])


def test_wrong_names_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'kappa'"):
        results_table(RUNS, scores=["kapa"])
    with pytest.raises(UnknownNameError, match="did you mean 'latex'"):
        results_table(RUNS, format="latx")
    with pytest.raises(UnknownNameError, match="no cost 'price'"):
        results_table(RUNS, costs=["price"])
    with pytest.raises(ConfigError, match="rows method: columns dataset or score"):
        results_table(RUNS, rows="score")
    with pytest.raises(ConfigError, match="no result"):
        results_table([])


def test_plain_text():
    lines = results_table(RUNS, scores=["oa"]).splitlines()
    assert lines[0].endswith("Mean +- standard deviation (ddof = 1), seeds 0-2. OA in %. * best, ' second.")
    table = [line.split() for line in lines[2:]]
    assert table[0] == ["Method", "taizhou", "OA", "(%)", "rennes", "OA", "(%)"]
    assert table[2] == ["siamese", "99.06", "+-", "0.19*", "98.31", "+-", "0.00'"]
    assert table[4] == ["cva", "92.50", "+-", "0.00", "-"]
    assert "\n".join(lines).isascii()


def test_markdown():
    lines = results_table(RUNS, format="markdown").splitlines()
    assert lines[2].count("|") == lines[3].count("|") == lines[4].count("|") == 8
    assert lines[4].startswith("| siamese | **99.06 ± 0.19** |")
    assert "<ins>" in lines[4]
    assert lines[6].endswith("| – | – | – |")
    assert r"my\_net" in results_table([run("my_net")], format="markdown")


class Cells(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.cells, self.tags = [], [], set()
        self.feed(text)
        assert not self.open, "every element is closed"

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.cells.append((self.open[-1], data))


def test_html():
    found = Cells(results_table(RUNS, format="html"))
    assert ("strong", "99.06 ± 0.19") in found.cells
    assert ("u", "98.31 ± 0.00") in found.cells
    assert [data for tag, data in found.cells if tag == "td"].count("–") == 3 + 2 + 4
    evil = Cells(results_table([run("<script>alert(1)</script>"), run("b", "<b>&")], format="html"))
    assert "script" not in evil.tags
    assert ("th", "<script>alert(1)</script>") in evil.cells


def test_csv_has_every_cell_in_full_precision():
    rows = list(csv.DictReader(io.StringIO(results_table(RUNS, format="csv"))))
    assert len(rows) == 5 * 6
    kappas = [r.scores["kappa"] for r in RUNS if (r.method, r.dataset) == ("svm", "rennes")]
    row = next(r for r in rows if (r["row"], r["group"], r["column"]) == ("svm", "rennes", "Kappa"))
    assert float(row["mean"]) == pytest.approx(np.mean(kappas), abs=1e-14)
    assert float(row["std"]) == pytest.approx(np.std(kappas, ddof=1), abs=1e-14)
    assert (row["runs"], row["rank"], row["protocol"], row["scope"]) == ("3", "1", "P1", "held-out")
    missing = next(r for r in rows if (r["row"], r["group"]) == ("cva", "rennes"))
    assert (missing["mean"], missing["runs"]) == ("", "0")


def test_a_column_in_percent_holds_percent_in_every_format():
    """0.9733... reads 97.33 in text, and so it is in a file for machines."""
    rows = list(csv.DictReader(io.StringIO(results_table(RUNS, format="csv", percent=("oa", "f1")))))
    for row in rows:
        of = [r.scores for r in RUNS if (r.method, r.dataset) == (row["row"], row["group"])]
        name = {"OA (%)": "oa", "F1 (%)": "f1", "Kappa": "kappa"}[row["column"]]
        if not of:
            continue
        factor = 1 if name == "kappa" else 100
        values = [factor * scores[name] for scores in of]
        assert float(row["mean"]) == pytest.approx(np.mean(values), abs=1e-11)
        assert float(row["std"]) == pytest.approx(np.std(values, ddof=1), abs=1e-11)
        text = results_table(RUNS, percent=("oa", "f1"))
        assert f"{np.mean(values):.{2 if factor == 100 else 4}f}" in text
    floor = next(row for row in rows if (row["row"], row["column"]) == ("coordinate floor", "OA (%)"))
    assert float(floor["mean"]) == pytest.approx(91)
    (interval,) = [
        row
        for row in csv.DictReader(
            io.StringIO(results_table(RUNS[:1], format="csv", scores=["oa"], interval="pixels"))
        )
        if row["row"] == "siamese"
    ]
    assert float(interval["low"]) < float(interval["mean"]) < float(interval["high"])


def test_runs_judged_on_other_pixels_are_told_and_not_ranked(caplog):
    """Half of the scene had no data in one of them: as many labels taught, and other pixels judge."""
    half = ConfusionCounts(tn=3000, fp=0, fn=0, tp=1000)
    other = replace(run("cva"), counts=half, test=ClassCounts(3000, 1000), scores=all_scores(half))
    here, elsewhere = [run("siamese"), other], [run("siamese", "rennes"), run("cva", "rennes", wrong=300)]
    (table,) = compare_results([*here, *elsewhere])
    assert "Not judged on the same pixels of taizhou (siamese on 8,000, cva on 4,000)" in table.caption
    assert {cell(table, name, "Kappa", "taizhou").rank for name in ("siamese", "cva")} == {0}
    assert [cell(table, name, "Kappa", "rennes").rank for name in ("siamese", "cva")] == [1, 2]
    for form in ("text", "markdown", "html", "latex"):
        assert "Not judged on the same pixels" in results_table(here, format=form)
    assert not caplog.records
    results_table(here, format="csv")  # which has no caption
    assert "Not judged on the same pixels of taizhou" in caplog.text


def test_latex():
    lines = results_table(RUNS, format="latex").splitlines()
    siamese = next(line for line in lines if line.startswith("siamese"))
    assert siamese.startswith(r"siamese & \textbf{99.06 $\pm$ 0.19} & ")
    assert r"\underline{98.31 $\pm$ 0.00}" in siamese
    assert next(line for line in lines if line.startswith("cva")).endswith(r"-- & -- & -- \\")
    assert r"\cmidrule(lr){2-4}\cmidrule(lr){5-7}" in lines
    header = next(line for line in lines if line.startswith("Method"))
    assert header.count("&") == siamese.count("&") == 6


def test_latex_over_two_columns_with_label_names_and_order():
    wanted = {"names": {"cva": "CVA", "taizhou": "Taizhou"}, "order": ["rennes", "cva", "svm"]}
    text = results_table(RUNS, format="latex", label="tab:all", wide=True, **wanted)
    assert text.count(r"\label{tab:all}") == 1
    assert [text.count(rf"\{end}{{table*}}") for end in ("begin", "end")] == [1, 1] and "{table}" not in text
    lines = text.splitlines()
    rows = [line.split(" & ")[0] for line in lines if line.endswith(r"\\")]
    assert [row for row in rows if row in ("CVA", "svm", "siamese")] == ["CVA", "svm", "siamese"]
    heads = next(line for line in lines if "multicolumn" in line)
    assert heads.index("rennes") < heads.index("Taizhou") and "taizhou" not in heads
    # The numbers are those of the table that nobody renamed.
    plain = results_table(RUNS, format="latex", order=["rennes"])
    assert next(x for x in lines if x.startswith("svm")) in plain
    two = results_table(RUNS, format="latex", columns="score", label="tab:all")
    assert r"\label{tab:all-1}" in two and r"\label{tab:all-2}" in two


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"order": ["smv"]}, "smv.*did you mean 'svm'"),
        ({"names": {"cav": "CVA"}}, "cav.*did you mean 'cva'"),
        ({"names": {"cva": "svm"}}, "would both be called svm: call them differently"),
        ({"label": "a}b", "format": "latex"}, "LaTeX labels are of letters"),
        ({"label": "tab:x"}, "of LaTeX tables, and the format is text"),
        ({"wide": True, "format": "csv"}, "of LaTeX tables, and the format is csv"),
    ],
)
def test_names_and_labels_that_do_not_go_are_refused(asked, message):
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        results_table(RUNS, **asked)


AWKWARD = ["a_b & 100 % #1 $x$ {y} \\z ~^ <|>", "Čerenkov Ångström é", "中文 ß", "tab\tand\nline"]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is absent")
@pytest.mark.parametrize("columns", ["dataset", "score"])
def test_latex_compiles_alone_and_in_a_paper(tmp_path, columns):
    runs = [
        run(method, dataset, wrong=w) for w, method in enumerate(AWKWARD, 1) for dataset in ("taizhou", AWKWARD[0])
    ]
    told = {"costs": ("parameters", "train_seconds"), "label": "tab:all", "wide": columns == "score"}
    table = results_table([*RUNS, *runs], format="latex", columns=columns, **told)
    (tmp_path / "table.tex").write_text(table, encoding="utf-8")
    paper = r"\documentclass{article}\usepackage{booktabs}\begin{document}Text.\input{table}More.\end{document}"
    (tmp_path / "paper.tex").write_text(paper)
    for name in ("table", "paper"):
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"],
            check=False, cwd=tmp_path, capture_output=True, text=True, errors="replace",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert "incomplete" not in done.stdout


@pytest.mark.parametrize("kind", list(FORMATS))
@given(method=st.text(max_size=12).filter(lambda name: name != "other"), dataset=st.text(max_size=12))
def test_any_name_stands_in_any_format(kind, method, dataset):
    text = results_table([run(method, dataset), run("other", dataset)], format=kind)
    assert "other" in text
    if kind == "latex":
        assert text.isascii()


def test_one_run_has_no_deviation():
    (table,) = compare_results([replace(run(), baselines=None)])
    assert [c.spread for c in table.rows[0].cells] == ["", "", ""]
    assert len(table.rows) == 1


def test_a_method_alone_on_a_scene_is_best_of_nothing():
    (table,) = compare_results([run("a"), run("b", "rennes")], baselines=False)
    assert [[c.rank if c else None for c in row.cells[::3]] for row in table.rows] == [[0, None], [None, 0]]

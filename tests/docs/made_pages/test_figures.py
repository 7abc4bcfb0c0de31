"""The figures that several pages repeat are those of benchmarks/results, on each of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "benchmarks" / "results"
TOUR = "tour_cpu-amd-epyc_202611.json"


def _read(name: str) -> Any:
    path = RESULTS / name
    if not path.is_file():
        pytest.skip("the results are not part of the source distribution")
    return json.loads(path.read_text(encoding="utf-8"))


def _page(name: str) -> str:
    """Its words, as one line of plain text."""
    return " ".join((ROOT / name).read_text(encoding="utf-8").replace("*", "").split())


def _rows(page: str, first: str) -> list[str]:
    """The rows of the tables of a page whose first cell begins so."""
    lines = (ROOT / page).read_text(encoding="utf-8").replace("*", "").splitlines()
    return [line for line in lines if line.startswith(f"| {first} |")]


class TestOfTheH200:
    """Test errors and times of he2015/resnet-20 and plain-20."""

    @pytest.mark.parametrize("page", ["README.md", "docs/recipes/cifar.md", "docs/performance.md"])
    @pytest.mark.parametrize(
        ("title", "name"), [("ResNet-20", "he2015-resnet-20-seed0"), ("plain-20", "he2015-plain-20-seed0")]
    )
    def test_an_error_and_its_interval(self, page: str, title: str, name: str) -> None:
        test = _read(f"h200/{name}-eval.json")["results"][0]
        low, high = test["interval95"]
        (row,) = (row for row in _rows(page, title) if "[" in row)
        assert f"{test['top1_error']:.2f} % [{low:.2f}, {high:.2f}]" in row

    @pytest.mark.parametrize("page", ["README.md", "docs/performance.md"])
    @pytest.mark.parametrize(
        ("title", "name"), [("ResNet-20", "he2015-resnet-20-seed0"), ("plain-20", "he2015-plain-20-seed0")]
    )
    def test_a_time_in_a_table(self, page: str, title: str, name: str) -> None:
        seconds = f"{_read(f'h200/{name}-record.json')['train_seconds']:.0f} s"
        assert [row for row in _rows(page, title) if "[" in row and f"| {seconds}" in row]

    @pytest.mark.parametrize(
        ("page", "text"),
        [
            (
                "README.md",
                "trains on {rate:,.0f} images a second: the paper's whole schedule in {seconds:.0f} s.",
            ),
            ("docs/recipes/cifar.md", "| ResNet-20, 128 | {rate:,.0f} | {seconds:.0f} s |"),
            ("docs/performance.md", "| ResNet-20 | {rate:,.0f} | 64,000 | {seconds:.0f} s |"),
            ("docs/many-machines.md", "a ResNet-20 on one H200 is done in {seconds:.0f} s."),
        ],
    )
    def test_the_time_of_resnet_20(self, page: str, text: str) -> None:
        record = _read("h200/he2015-resnet-20-seed0-record.json")
        said = text.format(rate=record["images_per_second"], seconds=record["train_seconds"])
        assert said in _page(page)


class TestOfTheTour:
    """Training errors of its three nets."""

    @staticmethod
    def _errors() -> dict[str, list[float]]:
        nets = _read(TOUR)["bf16, seeds 0 to 4 (--seeds 5)"]["contenders"]
        return {net["label"]: [run["train_error"] for run in net["runs"]] for net in nets}

    @pytest.mark.parametrize("page", ["README.md", "docs/start/tour.md", "docs/ko/tour.md"])
    def test_over_five_seeds(self, page: str) -> None:
        for label, errors in self._errors().items():
            said = f"{mean(errors):.1f} ± {stdev(errors):.1f}"
            assert f"{said} ({label})" in _page(page) or f"{said} % ({label})" in _page(page)

    @pytest.mark.parametrize("page", ["docs/start/tour.md", "docs/ko/tour.md"])
    def test_of_one_seed(self, page: str) -> None:
        first = {label: errors[0] for label, errors in self._errors().items()}
        assert f"({first['plain-44']:.2f} against {first['plain-14']:.2f} %)" in _page(page)
        assert f"has a lower one, {first['resnet-44']:.2f} %." in _page(page)

    def test_with_older_instructions(self) -> None:
        (nets,) = (
            found for key, found in _read(TOUR).items() if key.startswith("fp32, AVX2 only, C kernels")
        )
        said = [f"{mean(errors):.1f} ± {stdev(errors):.1f}" for errors in nets["train_error"].values()]
        assert f"they are {said[0]}, {said[1]} and {said[2]} %" in _page("README.md")

    def test_how_long_it_takes(self) -> None:
        seconds = _read(TOUR)["wall_seconds"]
        idle, busy = (
            divmod(seconds[key], 60)
            for key in ("idle, bf16, seed 0", "beside one process that keeps a core busy, bf16, seed 0")
        )
        assert f"{idle[0]} min {idle[1]} s on two idle cores" in _page("README.md")
        assert f"it took {busy[0]} min {busy[1]} s, with the same numbers" in _page("README.md")


class TestOfDegradationOnCifar10:
    """Four nets at a sixteenth of the paper's schedule."""

    @staticmethod
    def _rows() -> dict[str, Any]:
        contenders = _read("evidence/degradation/compare.json")["contenders"]
        return {row["model"]: row for row in contenders}

    def test_in_the_readme(self) -> None:
        nets, text = self._rows(), _page("README.md")
        for net, row in nets.items():
            assert f"{net} {row['train_error']['mean']:.2f} %" in text
        order = ("plain-20", "plain-56", "resnet-20", "resnet-56")
        tests = [nets[net]["test_error"]["mean"] for net in order]
        assert f"(test errors: {', '.join(f'{error:.2f}' for error in tests)} %)" in text

    def test_in_comparing(self) -> None:
        text = _page("docs/comparing.md")
        minutes = round(sum(row["train_seconds"] for row in self._rows().values()) / 60)
        assert f"{minutes // 60} h {minutes % 60} min of training beside other programs" in text
        for net, row in self._rows().items():
            keys = ("train_error", "val_error", "test_error", "best_test_error")
            figures = " ".join(f"{row[key]['mean']:.2f}" for key in keys)
            assert re.search(rf"he2015/{net} \S+M \S+M {figures}", text), (net, figures)


class TestOfTheRecipes:
    """Short trainings on one busy thread: docs/recipes/photographs.md and cifar.md."""

    @staticmethod
    def _runs() -> Any:
        return _read("recipes_cpu-amd-epyc_202611.json")["runs"]

    def test_on_cifar(self) -> None:
        run, text = self._runs()[0], _page("docs/recipes/cifar.md")
        assert (
            f"({run['iterations']} iterations of batch 256, {run['train_seconds']:.0f} s on one busy core"
            in text
        )
        low, high = run["val_interval95"]
        assert f"train {run['train']['top1_error']:.2f} %" in text
        assert (
            f"val {run['val'][-1]['top1_error']:.2f} % {low:.2f} to {high:.2f} {run['val'][-1]['loss']:.4f}"
            in text
        )

    def test_speeds_on_photographs(self) -> None:
        small, large = self._runs()[1:]
        for preset, run in (("`imagefolder/32`", small), ("`imagefolder/64`", large)):
            (row,) = _rows("docs/recipes/photographs.md", preset)
            assert row.endswith(f"| {run['images_per_second']:.0f} |")

    def test_errors_on_photographs(self) -> None:
        run, text = self._runs()[1], _page("docs/recipes/photographs.md")
        minutes, seconds = divmod(round(run["train_seconds"]), 60)
        first, *_, last = run["val"]
        low, high = run["val_interval95"]
        assert (
            f"this took {minutes} min {seconds} s on that busy thread, and the validation error fell from "
            f"{first['top1_error']:.1f} % after {first['iteration']} iterations to "
            f"{last['top1_error']:.1f} % [{low:.1f}, {high:.1f}] after {last['iteration']:,}."
        ) in text

"""What a comparison says first. Errors are of 10,000 training images, so half a point is beyond chance."""

import re

import pytest

from rescli.studies.statistics.significance import compare_seeds
from rescli.studies.summary import summarize


def contender(label, errors, *, at_chance=False):
    mean = {"mean": sum(errors) / len(errors), "std": None, "n": len(errors)}
    runs = [{"train_error": error} for error in errors]
    return {
        "label": label,
        "model": label.split()[0],
        "runs": runs,
        "train_error": mean,
        "test_error": mean,
        "at_chance": at_chance,
    }


def comparison(*contenders, p_mcnemar=1e-6):
    """All pairs, with Welch's test where there are seeds for it."""
    pairs = []
    for place, first in enumerate(contenders):
        for second in contenders[place + 1 :]:
            errors = [[run["train_error"] for run in one["runs"]] for one in (first, second)]
            found = compare_seeds(*errors)
            tests = {
                "images": {"p_mcnemar": p_mcnemar, "difference": errors[0][0] - errors[1][0]},
                "seeds": {
                    "counts": found.counts,
                    "p_welch": found.p_welch,
                    "difference": found.difference,
                },
            }
            pairs.append({"first": first["label"], "second": second["label"], "train": tests, "test": tests})
    return contenders, pairs


def test_degradation_and_its_cure():
    found = comparison(
        contender("plain-8", [12.1]), contender("plain-32", [45.2]), contender("resnet-32", [8.7])
    )
    assert summarize(*found) == [
        "Degradation and its cure: the plain net's training error is higher with 32 layers than with 8 "
        "(45.20 against 12.10 %), and the ResNet with 32 layers has a lower one, 8.70 %."
    ]


def test_the_order_of_the_contenders_does_not_matter():
    nets = [contender("resnet-32", [8.7]), contender("plain-32", [45.2]), contender("plain-8", [12.1])]
    assert summarize(*comparison(*nets)) == summarize(*comparison(*nets[::-1]))


def test_over_seeds_the_means_are_compared_by_welch():
    nets = (
        contender("plain-8", [10.0, 11.0, 12.0]),
        contender("plain-32", [40.0, 45.0, 41.0]),
        contender("resnet-32", [8.0, 8.1, 7.9]),
    )
    (sentence,) = summarize(*comparison(*nets, p_mcnemar=0.9))
    assert sentence.startswith("Degradation and its cure")
    assert "(42.00 against 11.00 %, mean over 3 seeds)" in sentence


def test_degradation_without_its_cure_names_the_net_that_did_not_learn():
    found = comparison(
        contender("plain-20", [80.3]),
        contender("plain-56", [88.8], at_chance=True),
        contender("resnet-56", [89.0], at_chance=True),
    )
    first, *others = summarize(*found)
    assert first.startswith("Degradation without its cure: ")
    assert first.endswith("the ResNet with 56 layers is no better, 89.00 %.")
    assert [line.split(" did not learn")[0] for line in others] == ["plain-56", "resnet-56"]


def test_degradation_without_a_resnet_beside_it():
    (sentence,) = summarize(*comparison(contender("plain-20", [9.0]), contender("plain-56", [13.0])))
    assert sentence == (
        "Degradation: the plain net's training error is higher with 56 layers than with 20 "
        "(13.00 against 9.00 %)."
    )


@pytest.mark.parametrize(("deep", "p", "word"), [(9.0, 1e-6, "lower"), (12.1, 0.4, "not higher")])
def test_no_degradation_is_said_as_plainly(deep, p, word):
    found = comparison(contender("plain-8", [12.0]), contender("plain-14", [deep]), p_mcnemar=p)
    (sentence,) = summarize(*found)
    assert sentence.startswith(f"No degradation: the plain net's training error is {word}")


def test_a_plain_net_beside_its_twin():
    (sentence,) = summarize(*comparison(contender("plain-56", [13.0]), contender("resnet-56", [7.0])))
    assert sentence == (
        "With 56 layers the ResNet has a lower training error than the plain net (7.00 against 13.00 %)."
    )


def test_other_nets_are_ranked_by_their_test_error():
    found = comparison(contender("resnet-20", [8.8]), contender("resnet-56", [7.0]), p_mcnemar=0.3)
    assert summarize(*found) == [
        "resnet-56 has the lowest test error: 7.00 against 8.80 % of resnet-20, no more than chance explains."
    ]


def test_where_no_net_learned_that_is_all_there_is_to_say():
    nets = [
        contender(label, [error], at_chance=True)
        for label, error in (("plain-20", 89.7), ("plain-56", 89.9), ("resnet-56", 89.5))
    ]
    (sentence,) = summarize(*comparison(*nets))
    assert sentence.startswith("No net learned: all are at chance (training errors 89.7, 89.9, 89.5 %")
    assert "more iterations" in sentence


def test_what_cannot_be_compared_says_nothing():
    nets = [contender("plain-8", [12.0]), contender("plain-14", [30.0])]
    assert (
        summarize(nets, [{"first": "plain-8", "second": "plain-14", "reason": "different data sets"}]) == []
    )


ONE, STEADY, VARYING = (0.0,), (0.0, 0.0), (-0.2, 0.0, 0.2)
"""What is added to an error, seed by seed: one seed, several that do not vary, several that do."""


@pytest.mark.parametrize("spread", [ONE, STEADY, VARYING])
@pytest.mark.parametrize(
    ("shallow", "deep", "residual", "says", "never"),
    [
        (10, 40, 20, "Degradation and its cure: ", "no better"),
        (10, 40, 60, "Degradation without its cure: .* has a still higher one, 60.00 %", "no better"),
        (10, 40, 40, "Degradation without its cure: .* is no better, 40.00 %", "higher one"),
        (
            10,
            40,
            None,
            "^Degradation: .* is higher with 56 layers than with 20 .40.00 against 10.00 %",
            "cure",
        ),
        (
            40,
            10,
            5,
            "No degradation: .* is lower .*; still the ResNet .* has a lower one, 5.00 %",
            "not higher",
        ),
        (
            40,
            10,
            30,
            "No degradation: .* is lower .*; the ResNet with 56 layers has a higher one, 30.00 %",
            "still",
        ),
        (40, 10, 10, "No degradation: .* is lower with 56 layers than with 20 [^;]*$", "ResNet"),
        (40, 10, None, "No degradation: .* is lower with 56 layers", "not higher"),
        (10, 10, 10, "No degradation: .* is the same with 56 layers as with 20", "higher|lower"),
        (10, 10, 4, "is the same .*; still the ResNet with 56 layers has a lower one, 4.00 %", "higher"),
    ],
)
def test_depth_is_said_as_it_is(spread, shallow, deep, residual, says, never):
    nets = [contender("plain-20", around(shallow, spread)), contender("plain-56", around(deep, spread))]
    if residual is not None:
        nets.append(contender("resnet-56", around(residual, spread)))
    for ordered in (nets, nets[::-1]):
        (sentence,) = summarize(*comparison(*ordered))
        assert re.search(says, sentence)
        assert not re.search(never, sentence)
        assert ("mean over" in sentence) == (len(spread) > 1)


def around(error, spread):
    return [error + more for more in spread]


def test_seeds_that_do_not_vary_are_judged_by_their_images():
    nets = contender("plain-20", [0.0, 0.0]), contender("plain-56", [90.0, 90.0])
    (sentence,) = summarize(*comparison(*nets))
    assert sentence.startswith("Degradation: ")
    (sentence,) = summarize(*comparison(*nets, p_mcnemar=0.4))
    assert sentence.startswith("No degradation: the plain net's training error is not higher, beyond chance,")


def test_equal_errors_that_differ_by_rounding_are_equal():
    thirds = [0.1 + 0.2, 0.3, 0.3]
    nets = contender("plain-20", thirds), contender("plain-56", [0.3] * 3)
    (sentence,) = summarize(*comparison(*nets))
    assert "is the same with 56 layers as with 20 (0.30 against 0.30 %" in sentence


def test_images_do_not_vouch_for_means_that_point_the_other_way():
    """One seed on a side: the test is of the first seeds, whose order is not that of the means."""
    nets = contender("plain-20", [10.0]), contender("plain-56", [8.0, 30.0])
    (sentence,) = summarize(*comparison(*nets))
    assert "not higher, beyond chance, with 56 layers than with 20 (19.00 against 10.00 %" in sentence
    assert "mean over 2 and 1 seeds" in sentence


@pytest.mark.parametrize("spread", [ONE, STEADY, VARYING])
@pytest.mark.parametrize(
    ("plain", "residual", "says"),
    [
        (20, 10, "the ResNet has a lower training error than the plain net (10.00 against 20.00 %"),
        (10, 20, "the ResNet has a higher training error than the plain net (20.00 against 10.00 %"),
        (10, 10, "the ResNet's and the plain net's training errors are the same (10.00 against 10.00 %"),
    ],
)
def test_twins_are_said_as_they_are(spread, plain, residual, says):
    nets = contender("plain-56", around(plain, spread)), contender("resnet-56", around(residual, spread))
    for ordered in (nets, nets[::-1]):
        (sentence,) = summarize(*comparison(*ordered))
        assert sentence.startswith(f"With 56 layers {says}")


def test_a_difference_of_chance_is_none():
    nets = contender("plain-56", [10.0]), contender("resnet-56", [9.9])
    (sentence,) = summarize(*comparison(*nets, p_mcnemar=0.3))
    assert "training errors do not differ beyond chance (9.90 against 10.00 %)" in sentence


def test_plain_nets_that_did_not_learn_show_no_degradation_and_no_lack_of_it():
    shallow, deep = (contender(name, [90.0], at_chance=True) for name in ("plain-20", "plain-56"))
    first, *others = summarize(*comparison(shallow, deep, contender("resnet-56", [50.0])))
    assert first == (
        "Neither plain net learned, with 56 layers or with 20 (90.00 against 90.00 %); the ResNet with 56 "
        "layers has a lower training error, 50.00 %."
    )
    assert len(others) == 2
    first, *_ = summarize(*comparison(deep, contender("resnet-56", [89.0], at_chance=True), shallow, LEARNED))
    assert first == "Neither plain net learned, with 56 layers or with 20 (90.00 against 90.00 %)."


LEARNED = contender("resnet-20", [8.0])


def test_twins_that_did_not_learn_are_not_ranked():
    nets = contender("plain-56", [90.0], at_chance=True), contender("resnet-56", [88.0], at_chance=True)
    first, *_ = summarize(*comparison(*nets, LEARNED))
    assert first == "With 56 layers neither the ResNet nor the plain net learned (88.00 against 90.00 %)."


@pytest.mark.parametrize(
    ("errors", "says"),
    [
        ((5, 5), "resnet-8 a and resnet-8 b have the same test error: 5.00 %."),
        ((5, 5, 5), "resnet-8 a, resnet-8 b and resnet-8 c have the same test error: 5.00 %."),
        ((7, 5, 5), "resnet-8 b and resnet-8 c have the same, lowest test error: 5.00 %."),
        (
            (5, 7, 9),
            "resnet-8 a has the lowest test error: 5.00 against 7.00 % of resnet-8 b, more than chance "
            "explains.",
        ),
    ],
)
def test_a_tie_is_called_one(errors, says):
    nets = [contender(f"resnet-8 {name}", [error]) for name, error in zip("abc", errors, strict=False)]
    assert summarize(*comparison(*nets)) == [says]


def test_none_is_best_beside_a_net_that_it_is_not_ranked_with():
    nets, pairs = comparison(contender("resnet-8 a", [5.0]), contender("resnet-8 b", [7.0]), LEARNED)
    pairs = [
        pair if "resnet-20" not in (pair["first"], pair["second"]) else {**pair, "test": None}
        for pair in pairs
    ]
    assert summarize(nets, pairs) == []

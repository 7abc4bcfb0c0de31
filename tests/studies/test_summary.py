"""What a comparison says first. Errors are of 10,000 training images, so half a point is beyond chance."""

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
                "images": {"p_mcnemar": p_mcnemar},
                "seeds": {"counts": found.counts, "p_welch": found.p_welch},
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

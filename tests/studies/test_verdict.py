import pytest

from rescli.studies.verdict import higher_beyond_chance, pair_verdict

IMAGES = {
    "num_images": 1000,
    "only_first_wrong": 90,
    "only_second_wrong": 40,
    "difference": 5.0,
    "interval95": [2.8, 7.2],
    "p_mcnemar": 0.00001,
    "detectable": 3.2,
}
SEEDS = {
    "counts": [3, 3],
    "means": [20.0, 15.0],
    "stds": [1.0, 1.0],
    "difference": 5.0,
    "interval95": [2.7, 7.3],
    "p_welch": 0.004,
    "p_permutation": 0.1,
    "detectable": 3.1,
}
ONE = {**SEEDS, "counts": [1, 1], "stds": [None, None], "interval95": None, "p_welch": None}


def pair(images=IMAGES, seeds=SEEDS, reason=None):
    return {
        "first": "plain-56",
        "second": "resnet-56",
        "reason": reason,
        "test": {"images": images, "seeds": seeds},
    }


def test_over_seeds():
    text = " ".join(pair_verdict(pair()))
    assert (
        "plain-56 has the higher error, by 5.00 points (20.00 against 15.00 %, mean over 3 and 3 seeds)"
        in text
    )
    assert "Welch p = 0.004, permutation p = 0.1: more than seeds explain" in text
    assert "exact McNemar p = under 0.0001: more than chance" in text


def test_one_seed_is_no_word_about_training_anew():
    text = " ".join(pair_verdict(pair(seeds=ONE)))
    assert "these two trained nets, not about training anew" in text
    assert "Welch" not in text


def test_the_second_may_be_the_worse():
    text = " ".join(pair_verdict(pair(seeds={**ONE, "difference": -5.0, "means": [15.0, 20.0]})))
    assert "resnet-56 has the higher error, by 5.00 points (20.00 against 15.00 %)" in text


def test_no_difference_and_no_disagreement():
    images = {**IMAGES, "only_first_wrong": 0, "only_second_wrong": 0, "p_mcnemar": 1.0, "detectable": None}
    text = " ".join(pair_verdict(pair(images=images, seeds={**ONE, "difference": 0.0})))
    assert "equally many errors" in text
    assert "wrong alone on none of 1,000 images, no more than chance explains." in text
    assert "95 %" not in text  # of resampled images it would be of no width, however few they are
    assert "None" not in text


@pytest.mark.parametrize("p", [0.5, 0.051])
def test_what_chance_explains_is_said(p):
    text = " ".join(pair_verdict(pair(images={**IMAGES, "p_mcnemar": p}, seeds={**SEEDS, "p_welch": p})))
    assert "no more than seeds may explain" in text
    assert "no more than chance explains" in text


def test_what_is_not_ranked_says_why():
    assert pair_verdict(pair(reason="different protocols: single and ten-crop")) == [
        "plain-56 and resnet-56 are not ranked: different protocols: single and ten-crop."
    ]


def test_between_nets_that_did_not_learn_the_first_word_is_that():
    sentences = pair_verdict(pair(), at_chance=True)
    assert sentences[0] == "Neither learned: what follows is about differences between coin tosses."
    assert len(sentences) > 1


def test_where_the_seeds_do_not_vary_the_images_decide():
    seeds = {**SEEDS, "stds": [0.0, 0.0], "p_welch": None, "p_permutation": 0.1, "interval95": None}
    text = " ".join(pair_verdict(pair(seeds=seeds)))
    assert "The seeds do not vary, so there is no test over them: the images decide." in text
    assert "more than chance" in text


def test_with_one_seed_on_one_side_the_mean_and_the_first_seeds_are_told_apart():
    seeds = {**ONE, "counts": [3, 1]}
    text = " ".join(pair_verdict(pair(seeds=seeds)))
    assert "(20.00 against 15.00 %, mean over 3 and 1 seeds)" in text
    assert "Image by image (first seeds)" in text
    assert "With one seed on a side" in text
    text = " ".join(pair_verdict(pair(images={**IMAGES, "difference": -5.0}, seeds=seeds)))
    assert "more than chance, and the other way round than the means" in text


@pytest.mark.parametrize(
    ("images", "seeds", "side"),
    [
        ({}, {}, 1),
        ({}, {"difference": -5.0}, -1),
        ({}, {"p_welch": 0.2}, 0),
        ({"p_mcnemar": 0.5}, {}, 1),
        ({}, {"p_welch": None}, 1),
        ({"p_mcnemar": 0.5}, {"p_welch": None}, 0),
        ({}, ONE, 1),
        ({"p_mcnemar": 0.5}, ONE, 0),
        ({"difference": -5.0}, {**ONE, "difference": -5.0}, -1),
        ({"difference": -5.0}, {**ONE, "counts": [1, 3]}, 0),
        ({"difference": 0.0}, {"difference": 1e-14}, 0),
    ],
)
def test_which_side_is_higher_beyond_chance(images, seeds, side):
    assert higher_beyond_chance(pair({**IMAGES, **images}, {**SEEDS, **seeds})["test"]) == side

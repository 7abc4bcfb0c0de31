import pytest

from rescli.errors import CheckpointError, UsageError
from rescli.evaluation.classes import class_columns

NET = ("n01440764", "n02102040", "n02979186", "n03000684")


def test_the_same_classes_are_the_outputs_in_turn():
    assert class_columns(NET, NET, "same") == [0, 1, 2, 3]


@pytest.mark.parametrize("matching", ["wnids", "names"])
def test_a_subset_is_found_whatever_its_order(matching):
    assert class_columns(NET, ("n03000684", "n02102040"), matching) == [3, 1]


@pytest.mark.parametrize("images", [NET[:2], NET[::-1], ("cat", "dog")])
def test_other_classes_are_refused_unless_it_is_said_how_they_belong(images):
    with pytest.raises(
        CheckpointError, match=f"knows 4 classes, the data set has {len(images)}[,;]"
    ) as caught:
        class_columns(NET, images, "same")
    remedies = [(one.setting, one.value) for one in caught.value.remedies]
    assert remedies == ([("classes", "wnids")] if images == NET[:2] else [])


def test_the_hint_for_a_subset_of_plain_names():
    with pytest.raises(CheckpointError) as caught:
        class_columns(("cat", "dog", "ship"), ("dog",), "same")
    assert [one.value for one in caught.value.remedies] == ["names"]


def test_classes_that_the_net_does_not_know_are_named():
    with pytest.raises(CheckpointError, match="does not know 1 of the data set's 2 classes: n09999999"):
        class_columns(NET, ("n01440764", "n09999999"), "wnids")


@pytest.mark.parametrize(("net", "images"), [(("cat", "dog"), ("cat",)), (NET, ("tench",))])
def test_names_are_no_wordnet_ids(net, images):
    with pytest.raises(UsageError, match="are not WordNet ids"):
        class_columns(net, images, "wnids")


@pytest.mark.parametrize(("net", "images"), [(("crane", "b", "crane"), ("crane",)), (("a", "b"), ("a", "a"))])
def test_several_classes_of_one_name_are_refused(net, images):
    with pytest.raises(UsageError, match="several classes of one name"):
        class_columns(net, images, "names")

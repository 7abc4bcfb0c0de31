import pytest

from rescli.errors import UnknownNameError
from rescli.spec.load import load_spec, preset_names
from rescli.studies.paper_items import paper_item, paper_item_names


@pytest.mark.parametrize("name", paper_item_names())
def test_every_target_names_nets_of_presets_of_the_paper(name):
    for net in paper_item(name).nets:
        if net.preset is not None and net.preset.startswith("he2015/"):
            assert net.preset in preset_names()
            assert load_spec(net.preset).model.name == net.preset.removeprefix("he2015/")


def test_table6_holds_the_papers_nets_and_those_of_others():
    table6 = paper_item("table6")
    ours = [net.label for net in table6.nets if net.preset]
    assert ours == [f"ResNet-{depth} A" for depth in (20, 32, 44, 56, 110, 1202)]
    assert "Maxout" in [net.label for net in table6.nets if not net.preset]


def test_nobody_can_score_the_ensemble_of_table5():
    (ours,) = [net for net in paper_item("table5").nets if net.reason]
    assert "not public" in ours.reason


def test_an_unknown_target_lists_the_known():
    with pytest.raises(UnknownNameError, match="table6"):
        paper_item("table7")

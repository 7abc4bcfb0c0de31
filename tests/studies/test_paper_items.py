import pytest

from rescli.errors import UnknownNameError
from rescli.spec.load import load_spec, preset_names
from rescli.studies.paper_items import target, target_names


@pytest.mark.parametrize("name", target_names())
def test_every_target_names_nets_of_presets_of_the_paper(name):
    for entry in target(name).entries:
        if entry.preset is not None and entry.preset.startswith("he2015/"):
            assert entry.preset in preset_names()
            assert load_spec(entry.preset).model.name == entry.preset.removeprefix("he2015/")


def test_table6_holds_the_papers_nets_and_those_of_others():
    table6 = target("table6")
    ours = [entry.label for entry in table6.entries if entry.preset]
    assert ours == [f"ResNet-{depth} A" for depth in (20, 32, 44, 56, 110, 1202)]
    assert "Maxout" in [entry.label for entry in table6.entries if not entry.preset]


def test_nobody_can_score_the_ensemble_of_table5():
    (ours,) = [entry for entry in target("table5").entries if entry.reason]
    assert "not public" in ours.reason


def test_an_unknown_target_lists_the_known():
    with pytest.raises(UnknownNameError, match="table6"):
        target("table7")

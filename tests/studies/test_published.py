import pytest

from rescli import registry
from rescli.errors import UnknownNameError
from rescli.models.specs import model_spec
from rescli.studies.published import published_table, published_tables


def test_the_tables_with_errors_are_there():
    assert published_tables() == ["table2", "table3", "table4", "table5", "table6"]


def test_the_numbers_that_everybody_quotes():
    assert published_table("table6").row("resnet-110", "A").top1_error == 6.43
    assert published_table("table6").row("resnet-110", "A").mean == 6.61
    table2 = published_table("table2")
    gap = table2.row("plain-34", None).top1_error - table2.row("resnet-34", "A").top1_error
    assert gap == pytest.approx(3.51)
    assert published_table("table4").row("resnet-152", "B").top5_error == 4.49
    assert published_table("table5").rows[-1].top5_error == 3.57


@pytest.mark.parametrize("name", published_tables())
def test_every_table_names_what_rescli_has(name):
    table = published_table(name)
    assert table.protocol in registry.names("protocols")
    assert table.dataset in registry.names("datasets")
    size = 32 if table.dataset == "cifar10" else 224
    for row in table.rows:
        assert (row.top1_error or row.top5_error) is not None
        assert row.name
        if row.model is not None:
            given = {"shortcut": row.shortcut} if row.shortcut else {}
            assert model_spec(row.model, image_size=size, **given).name == row.model


def test_table_3_contains_table_2_where_they_overlap():
    table2, table3 = published_table("table2"), published_table("table3")
    for model, shortcut in (("plain-34", None), ("resnet-34", "A")):
        assert table2.row(model, shortcut).top1_error == table3.row(model, shortcut).top1_error


def test_the_params_of_table_6_are_those_of_our_nets():
    for row in published_table("table6").rows:
        if row.model is not None:
            layout = model_spec(row.model, image_size=32).layout(num_classes=10, image_size=32)
            digits = len(row.params.rstrip("M").partition(".")[2])
            assert f"{layout.params / 1e6:.{digits}f}M" == row.params


def test_a_table_that_is_not_there_lists_those_that_are():
    with pytest.raises(UnknownNameError, match="Did you mean 'table6'"):
        published_table("tabel6")

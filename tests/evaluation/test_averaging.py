import numpy as np
import pytest
import torch

from rescli.evaluation.averaging import average_models, average_views, within


@pytest.fixture
def logits_NVK():
    return 5 * torch.randn(5000, 3, 7, generator=torch.Generator().manual_seed(0))


def softmax(x):
    e = np.exp(x.astype(np.float64))
    return e / e.sum(-1, keepdims=True)


def test_probabilities_are_averaged_after_the_softmax(logits_NVK):
    expected = softmax(logits_NVK.numpy()).mean(1)
    np.testing.assert_allclose(average_views(logits_NVK, "probabilities").exp().numpy(), expected, atol=1e-12)


def test_logits_are_averaged_before_the_softmax(logits_NVK):
    expected = softmax(logits_NVK.double().numpy().mean(1))
    np.testing.assert_allclose(average_views(logits_NVK, "logits").exp().numpy(), expected, atol=1e-12)


def test_the_two_averages_differ_and_agree_on_one_view(logits_NVK):
    both = [average_views(logits_NVK, average) for average in ("probabilities", "logits")]
    assert (both[0].argmax(1) != both[1].argmax(1)).any()
    one = [average_views(logits_NVK[:, :1], average) for average in ("probabilities", "logits")]
    torch.testing.assert_close(*one, rtol=0, atol=1e-12)


def test_an_ensemble_averages_the_probabilities_of_its_members(logits_NVK):
    members = [average_views(logits_NVK[:, k : k + 1], "probabilities") for k in range(3)]
    together = average_models(members, "probabilities")
    torch.testing.assert_close(together, average_views(logits_NVK, "probabilities"), rtol=0, atol=1e-12)


def test_an_ensemble_of_logits_is_that_of_the_logits_themselves(logits_NVK):
    members = [average_views(logits_NVK[:, k : k + 1], "logits") for k in range(3)]
    together = average_models(members, "logits")
    torch.testing.assert_close(together, average_views(logits_NVK, "logits"), rtol=0, atol=1e-12)


def test_within_a_subset_the_probabilities_sum_to_one_in_the_order_asked(logits_NVK):
    whole = average_views(logits_NVK, "probabilities").exp()
    part = within(whole.log(), [5, 2]).exp()
    expected = whole[:, [5, 2]] / whole[:, [5, 2]].sum(1, keepdim=True)
    torch.testing.assert_close(part, expected, rtol=0, atol=1e-12)

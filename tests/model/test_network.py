"""What the network promises whatever its weights: nobody sees the future, candidates do not see each other."""

from __future__ import annotations

import pytest
import torch

from rec.model.network import Histories, Items, Network
from rec.model.teaching import Shape

SHAPE = Shape(dim=16, layers=2, heads=2, steps=6, ids=20, text_dim=5, image_dim=3, categories=4, brands=4)
N = 9


@pytest.fixture
def network() -> Network:
    torch.manual_seed(1)
    made = Network(SHAPE).eval()
    with torch.no_grad():  # away from the zeros that ids start with
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for table in (made.items.id, made.items.category, made.items.brand, made.bias):
            table.weight[0] = 0.0
    return made


def items(n: int = N) -> Items:
    torch.manual_seed(2)
    text = torch.nn.functional.normalize(torch.randn(n, 5), dim=1)
    text[0] = 0.0
    kinds = torch.arange(n) % 4
    price = torch.stack([torch.randn(n), torch.ones(n)], 1)
    price[0] = 0.0
    image = torch.nn.functional.normalize(torch.randn(n, 3), dim=1)
    image[0] = 0.0
    return Items(torch.arange(n), text, image, kinds, kinds, price)


def histories(rows: list[list[int]]) -> Histories:
    padded = torch.tensor([[0] * (SHAPE.steps - len(r)) + r for r in rows])
    return Histories(padded, (padded > 0).long(), (padded > 0).long() * 3)


@torch.no_grad()
def test_nobody_sees_what_comes_later(network: Network) -> None:
    v = network.items(items())
    a = network.users(v, histories([[1, 2, 3, 4, 5, 6]]))
    b = network.users(v, histories([[1, 2, 3, 4, 7, 8]]))
    torch.testing.assert_close(a[:, :4], b[:, :4])
    assert not torch.allclose(a[:, 4], b[:, 4])


@torch.no_grad()
def test_the_score_of_a_candidate_does_not_depend_on_who_else_is_there(network: Network) -> None:
    few, many = items(5), items(9)
    u = network.users(network.items(many), histories([[1, 2]]))[:, -1]
    logits = network.next_item(u, network.items(many), many)
    few = Items(*(column[:5] for column in many))
    torch.testing.assert_close(logits[:, :5], network.next_item(u, network.items(few), few))


@torch.no_grad()
def test_one_shopper_does_not_see_another(network: Network) -> None:
    v = network.items(items())
    together = network.users(v, histories([[1, 2, 3], [4, 5, 6]]))
    torch.testing.assert_close(together[:1], network.users(v, histories([[1, 2, 3]])), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_nobody_is_read_otherwise_for_who_has_done_more_beside_them(network: Network) -> None:
    v = network.items(items())
    together = network.users(v, histories([[1, 2], [6, 5, 4, 3, 2, 1], []]))
    for at, alone in ((0, [1, 2]), (1, [6, 5, 4, 3, 2, 1])):
        apart = network.users(v, histories([alone]).trimmed())
        torch.testing.assert_close(together[at, -1], apart[0, -1], atol=1e-5, rtol=1e-5)
    assert torch.isfinite(together).all()


@torch.no_grad()
def test_padding_that_all_share_costs_nothing_and_changes_nothing(network: Network) -> None:
    v, whole = network.items(items()), histories([[1, 2], [3]])
    trimmed = whole.trimmed()
    assert trimmed.rows.shape == (2, 2)
    apart = network.users(v, histories([[0, 0, 0, 1, 2]]).trimmed())
    torch.testing.assert_close(network.users(v, trimmed)[:1, -1], apart[:, -1])
    assert histories([[], []]).trimmed().rows.shape == (2, 1)


@torch.no_grad()
def test_padding_is_never_recommended(network: Network) -> None:
    known = items()
    u = network.users(network.items(known), histories([[1]]))[:, -1]
    assert network.next_item(u, network.items(known), known)[0, 0] == float("-inf")


@torch.no_grad()
def test_an_item_without_an_id_of_its_own_is_what_its_text_and_facets_say() -> None:
    fresh = Network(SHAPE)
    known = items()
    strangers = known._replace(slot=torch.zeros(N, dtype=torch.long))
    torch.testing.assert_close(fresh.items(known), fresh.items(strangers))  # ids begin at zero
    assert fresh.items(known).abs().sum(1)[1:].min() > 0

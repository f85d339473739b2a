"""The offline fit: it learns, it stops when it no longer gets better, and its views of a history stay views of it."""

from __future__ import annotations

import msgspec
import numpy as np
import torch

from rec.model.fit import Fit, fit, histories_of, padded, plain_items, ranks_of_last, view, views_loss
from rec.model.network import Network
from rec.model.teaching import Shape

ITEMS = 20
SHAPE = Shape(dim=16, layers=1, heads=2, steps=10, dropout=0.1)
SETTINGS = Fit(shape=SHAPE, batch=32, epochs=25, rate=5e-3, patience=2, warmup_steps=10)


def circles(count: int) -> list[list[int]]:
    rng = np.random.default_rng(1)
    return [[int((start + n) % ITEMS) + 1 for n in range(6)] for start in rng.integers(0, ITEMS, count)]


def test_what_follows_is_found_among_all_items() -> None:
    sequences = circles(200)
    fitted = fit([s[:-1] for s in sequences], ITEMS, SETTINGS)
    assert (ranks_of_last(fitted.network, fitted.items, sequences) < 1).mean() > 0.95


def test_it_stops_when_it_no_longer_gets_better_and_keeps_its_best() -> None:
    rng = np.random.default_rng(2)
    noise = [rng.integers(1, ITEMS + 1, 6).tolist() for _ in range(100)]
    fitted = fit(noise, ITEMS, msgspec.structs.replace(SETTINGS, epochs=60, warmup_steps=1))
    best = int(np.argmax(fitted.validation))
    assert len(fitted.validation) == best + SETTINGS.patience + 1 < 60
    ranks = ranks_of_last(fitted.network, fitted.items, noise)
    again = np.where(ranks < 10, 1 / np.log2(ranks + 2), 0.0).mean()
    assert again == fitted.validation[best]


def test_what_was_seen_is_not_ranked_unless_it_is_the_target() -> None:
    sequences = [[1, 2, 3, 4, 5], [3, 4, 3], [2, 5, 1, 6]]
    shape = msgspec.structs.replace(SETTINGS.shape, ids=ITEMS)
    torch.manual_seed(3)
    network, items = Network(shape).eval(), plain_items(ITEMS, shape)
    torch.nn.init.normal_(network.items.id.weight[1:])
    ranks = {flag: ranks_of_last(network, items, sequences, seen_excluded=flag) for flag in (False, True)}
    for at, sequence in enumerate(sequences):
        with torch.no_grad():
            v = network.items(items)
            u = network.users(v, histories_of(padded([sequence[:-1]], shape.steps)))[0, -1]
            logits = network.next_item(u, v, items).tolist()
        for flag, rank in ranks.items():
            listed = [i for i in range(1, ITEMS + 1) if not flag or i not in sequence[:-1] or i == sequence[-1]]
            assert rank[at] == sum(logits[i] > logits[sequence[-1]] for i in listed)
    assert ranks[True].sum() < ranks[False].sum()


def test_the_same_seed_fits_the_same_weights() -> None:
    quick = msgspec.structs.replace(SETTINGS, epochs=2, contrast=0.1)
    one, two = (fit(circles(50), ITEMS, quick).network.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_view_holds_nothing_that_the_history_does_not() -> None:
    rng, history = np.random.default_rng(3), [3, 1, 4, 1, 5, 9]
    views = [view(history, rng) for _ in range(200)]
    assert all(0 < len(each) <= len(history) for each in views)
    assert all(set(each) <= set(history) for each in views)
    assert any(len(each) == len(history) and each != history for each in views)  # shuffled
    assert any(len(each) < len(history) for each in views)  # cropped or masked


def test_long_histories_keep_their_newest_steps() -> None:
    assert padded([[1, 2, 3], [], [9]], 2).tolist() == [[2, 3], [0, 0], [0, 9]]


def test_pretraining_brings_two_views_of_a_history_together_and_foresees_nothing_yet() -> None:
    sequences, losses = circles(200), list[float]()
    how = msgspec.structs.replace(SETTINGS, pretrain=8)
    before = fit([s[:-1] for s in sequences], ITEMS, msgspec.structs.replace(how, epochs=0, pretrain=0)).network
    after = fit(
        [s[:-1] for s in sequences],
        ITEMS,
        msgspec.structs.replace(how, epochs=0),
        pretrained=lambda _epoch, loss: losses.append(loss),
    ).network
    assert len(losses) == 8
    assert losses[-1] < 0.8 * losses[0]
    assert not torch.equal(before.users.position, after.users.position)
    assert torch.equal(before.bias.weight, after.bias.weight)  # of the next item alone
    fitted = fit([s[:-1] for s in sequences], ITEMS, how)
    assert (ranks_of_last(fitted.network, fitted.items, sequences) < 1).mean() > 0.95


def test_a_batch_of_short_histories_has_no_contrastive_loss_and_no_nan() -> None:
    shape = msgspec.structs.replace(SHAPE, ids=ITEMS)
    network, items, rng = Network(shape), plain_items(ITEMS, shape), np.random.default_rng(4)
    assert views_loss(network, items, [[1, 2, 3], [4, 5]], rng).item() == 0
    losses = list[float]()
    quick = msgspec.structs.replace(SETTINGS, epochs=1, contrast=0.5)
    fit([s[:3] for s in circles(50)], ITEMS, quick, lambda _epoch, loss, _ndcg: losses.append(loss))
    assert np.isfinite(losses).all()

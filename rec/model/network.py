"""histories + items → **network** → what comes next. The whole sequence model on one page; shapes are on the lines.

    item tower    v = id + W·text + W'·image + category + brand + price                                 [n, d]
    user tower    u = causal transformer over (v of the item acted on + action + time gap + position)   [B, L, d]
    next item     P(i | u) = softmax over items of u·v_i + b_i              SASRec, Kang & McAuley 2018; trained with a
                  softmax over items instead of one negative                gSASRec, Petrov & Macdonald 2023
    heads         P(action a | u, i is acted on) = sigmoid(u_a·v_i + c_a)   click, cart, purchase, dislike

    B users, L steps, n items, d width. Steps are right-aligned: the newest is last, row 0 is padding and all zero.

Ids begin at zero: a product is what its text, image, category, brand and price say until it has been seen often enough
to be somebody of its own. Candidates never attend to each other, so the score of one does not depend on who else is
there.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rec.model.encode import ACTIONS, GAPS, HEADS
from rec.model.teaching import Shape

USUAL = (0.97, 0.05, 0.02, 0.01)  # where the chances of HEADS begin


class Items(NamedTuple):
    """What is known of n items; row 0 is padding."""

    slot: Tensor  # [n] id embedding, 0: not admitted
    text: Tensor  # [n, text_dim] unit vectors, zero where there is none
    image: Tensor  # [n, image_dim] likewise
    category: Tensor  # [n], 0: none
    brand: Tensor  # [n], 0: none
    price: Tensor  # [n, 2] log price (standardized) and whether there is one


class Histories(NamedTuple):
    """What B users did: rows of items, indexes into ACTIONS, and the gap until the next step (at last: until now)."""

    rows: Tensor  # [B, L]
    actions: Tensor  # [B, L]
    gaps: Tensor  # [B, L] in [0, GAPS)

    def trimmed(self) -> Histories:
        """Without the steps that are padding in every history; one step at least."""
        used = (self.rows > 0).any(0).int()
        first = min(int(used.argmax()) if bool(used.any()) else len(used), len(used) - 1)
        return Histories(*(column[:, first:] for column in self))


class ItemTower(nn.Module):
    """[n] items → [n, d]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.id = nn.Embedding(shape.ids + 1, shape.dim, padding_idx=0)
        self.category = nn.Embedding(shape.categories, shape.dim, padding_idx=0)
        self.brand = nn.Embedding(shape.brands, shape.dim, padding_idx=0)
        self.price = nn.Linear(2, shape.dim, bias=False)
        self.text = nn.Linear(shape.text_dim, shape.dim, bias=False) if shape.text_dim else None
        self.image = nn.Linear(shape.image_dim, shape.dim, bias=False) if shape.image_dim else None
        for table in (self.id, self.category, self.brand):
            nn.init.zeros_(table.weight)
        nn.init.zeros_(self.price.weight)

    def forward(self, items: Items) -> Tensor:
        v = self.id(items.slot) + self.category(items.category) + self.brand(items.brand) + self.price(items.price)
        for project, vectors in ((self.text, items.text), (self.image, items.image)):
            v = v if project is None else v + project(vectors)
        all_of_it: Tensor = v  # [n, d]
        return all_of_it


class UserTower(nn.Module):
    """[B, L] steps → [B, L, d]: at each step, what the user is after."""

    mask: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.action = nn.Embedding(len(ACTIONS), shape.dim)
        self.gap = nn.Embedding(GAPS, shape.dim)
        self.position = nn.Parameter(torch.empty(shape.steps, shape.dim))
        for weight in (self.action.weight, self.gap.weight, self.position):
            nn.init.normal_(weight, std=0.02)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                shape.dim, shape.heads, 4 * shape.dim, shape.dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(shape.layers)
        )
        self.norm, self.dropout, self.scale = nn.LayerNorm(shape.dim), nn.Dropout(shape.dropout), shape.dim**0.5 / 2
        self.heads = shape.heads
        later = torch.ones(shape.steps, shape.steps, dtype=torch.bool).triu(1)
        self.register_buffer("mask", later, persistent=False)  # [L, L] nobody sees what comes later

    def forward(self, v: Tensor, histories: Histories) -> Tensor:
        steps = histories.rows.shape[1]  # L, or less where all histories are shorter
        hidden = self._hidden(histories.rows)
        x = v[histories.rows] * self.scale  # [B, L, d]
        x = self.dropout(x + self.action(histories.actions) + self.gap(histories.gaps) + self.position[-steps:])
        for layer in self.layers:
            x = layer(x, src_mask=hidden)
        return self.norm(x)  # type: ignore[no-any-return]

    def _hidden(self, rows: Tensor) -> Tensor:
        """[B, L] → [B · heads, L, L], true where a step may not look: later steps, and padding but for itself."""
        steps = rows.shape[1]
        itself = torch.eye(steps, dtype=torch.bool, device=rows.device)
        padding = (rows == 0).unsqueeze(1) & ~itself  # [B, L, L]
        return (self.mask[:steps, :steps] | padding).repeat_interleave(self.heads, 0)


class Network(nn.Module):
    """Both towers and the heads."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.items, self.users = ItemTower(shape), UserTower(shape)
        self.bias = nn.Embedding(shape.ids + 1, 1, padding_idx=0)  # b: how often an item is acted on at all
        self.heads = nn.Linear(shape.dim, len(HEADS) * shape.dim, bias=False)
        self.head_bias = nn.Parameter(torch.logit(torch.tensor(USUAL)))
        nn.init.zeros_(self.bias.weight)
        nn.init.zeros_(self.heads.weight)  # lists are ordered by what heads say: nothing, until they have learned it

    @property
    def tables(self) -> tuple[Tensor, ...]:
        """The weights that have a row for each item, category or brand: most of a step's gradient there is zero."""
        items = self.items
        return items.id.weight, items.category.weight, items.brand.weight, self.bias.weight

    def next_item(self, u: Tensor, v: Tensor, items: Items) -> Tensor:
        """[…, d] users × [n, d] items → logits […, n]. Row 0, padding, gets -inf."""
        logits: Tensor = u @ v.T + self.bias(items.slot).squeeze(-1)
        return logits.index_fill(-1, torch.zeros(1, dtype=torch.long, device=v.device), float("-inf"))

    def action(self, u: Tensor, v: Tensor) -> Tensor:
        """[B, d] users × [B, d] the item that each acts on → logits [B, len(HEADS)]."""
        return (self.per_head(u) * v.unsqueeze(-2)).sum(-1) + self.head_bias

    def per_head(self, u: Tensor) -> Tensor:
        """[B, d] → [B, heads, d]: its product with an item is what each head says of that item, but for its bias."""
        turned: Tensor = self.heads(u).unflatten(-1, (len(HEADS), -1))
        return turned

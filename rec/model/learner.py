"""lessons → **learner** → a better network. Online fine-tuning: replay, one AdamW step a batch, weights that serve.

    with torch and without I/O; time and randomness are arguments. Seeded and on a CPU, the same lessons give the same
    weights to the bit.

A lesson is an event with the state before it. Each step mixes the new ones with older ones (replay, against
forgetting), now and then hides the newest actions of a history (against over-reaction to the last click), and learns
every next item of each history that somebody turned to as well as the one that was just acted on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rec.catalog import Floats, Item, View
from rec.events import Event
from rec.examples import Rewarded
from rec.model.device import Hardware
from rec.model.encode import WANTED, Batch, empty, targets_of, write_history, write_left
from rec.model.lazy import step_rows
from rec.model.loss import (
    Frequency,
    action_heads,
    drawn_share,
    estimated_logits,
    full_softmax,
    impression_softmax,
    mixed_log_q,
    sampled_softmax,
    top_k_policy_gradient,
    with_bias,
)
from rec.model.network import Histories, Items, Network
from rec.model.replay import Replay
from rec.model.rewards import Rewards
from rec.model.served import heard_of
from rec.model.teaching import Training
from rec.model.vocabulary import Vocabulary
from rec.state import UserState
from rec.value import Heard


class Learner:
    """A network, what it was taught with, and how it goes on. One thread."""

    version = "learner"

    def __init__(self, training: Training, hardware: Hardware = Hardware()) -> None:
        self.training, self._hardware = training, hardware
        torch.manual_seed(training.seed)
        self._rng = np.random.default_rng(training.seed)
        self.network = Network(training.shape).to(hardware.device)
        self.vocabulary = Vocabulary(training.shape, training.admit_after)
        matrices = [p for p in self.network.parameters() if p.dim() > 1]
        rest = [p for p in self.network.parameters() if p.dim() <= 1]
        groups = [{"params": matrices, "weight_decay": training.decay}, {"params": rest, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=training.rate, betas=(0.9, 0.98))
        size = sum(p.numel() * p.element_size() for p in self.network.parameters())
        self._turned_to = torch.from_numpy(WANTED).to(hardware.device)  # [actions]
        self._lazy = size > training.whole_until  # or each version would differ from the last one in every row
        self._frequency = Frequency()
        self.steps = 0
        self.skipped = 0  # since this process began: steps whose loss or gradient was no number, and that were not made
        self.loss = float("nan")
        self._moved: tuple[Items, Items] | None = None  # the items as the vocabulary has them, and on the device
        self._newest = self._looked = 0.0  # times of events: the newest, and that of the last look for what expires
        self._replay = Replay(training.replay, training.shape.steps)
        self._rewards = Rewards(training.policy_kept, training.shape.steps) if training.policy else None
        self._random = torch.get_rng_state()  # its own dropout, whatever else draws random numbers in this process

    # ------------------------------------------------------------------ learning
    def know(self, items: Sequence[Item], vectors: Mapping[str, Floats]) -> None:
        """Items of the catalog with their text vectors, so that they can be scored before anybody has acted on them."""
        self.vocabulary.put(items, vectors)

    def learn(self, lessons: Sequence[tuple[UserState | None, Event]]) -> None:
        """Take lessons in, one step of training for each `new` of them."""
        self._expire()
        examples = [
            (state, event, *target) for state, event in lessons for target in targets_of(event, self.vocabulary.row)
        ]
        for start in range(0, len(examples), self.training.new):
            fresh = examples[start : start + self.training.new]
            batch = empty(len(fresh), self.training.shape.steps)
            for at, (state, event, row, happened, wanted) in enumerate(fresh):
                write_history(batch, at, state, event.at, self._row_of)
                write_left(batch, at, state, event, self._row_of)
                batch.targets[at], batch.happened[at], batch.wanted[at] = row, happened, wanted
                self.vocabulary.occurred(row, event.at)
                self._newest = max(self._newest, event.at)
            self._replay.push(batch)
            with torch.random.fork_rng(devices=[]):
                torch.set_rng_state(self._random)
                self._step(self._mixed(len(fresh)))
                self._random = torch.get_rng_state()

    def reward(self, told: Rewarded) -> None:
        """What a list earned: the steps from here on learn from it, if that has a weight at all."""
        if self._rewards is not None:
            self._rewards.put(told, self._row_of)

    def _there(self, *arrays: np.ndarray) -> list[Tensor]:
        """On the device."""
        return [torch.from_numpy(array).to(self._hardware.device) for array in arrays]

    def _items(self) -> Items:
        """All items, on the device."""
        items = self.vocabulary.items()
        if self._moved is None or self._moved[0] is not items:
            self._moved = items, Items(*(column.to(self._hardware.device) for column in items))
        return self._moved[1]

    def _row_of(self, item_id: str) -> int:
        return self.vocabulary.row_of.get(item_id, 0)

    def _mixed(self, fresh: int) -> Batch:
        """The newest `fresh` examples and as many older ones as fill the batch."""
        older = self._rng.integers(0, len(self._replay), max(0, self.training.batch - fresh))
        return self._hidden(self._replay.take(np.concatenate([self._replay.newest(fresh), older])))

    def _hidden(self, batch: Batch) -> Batch:
        """The newest action of some histories hidden: what came before it moves one step to the right.

        The gap of what is the newest now runs until the moment of the example, as if the other had never been.
        """
        hide = (self._rng.random(len(batch.rows)) < self.training.hide) & (batch.rows[:, -2] > 0)
        for array in (batch.rows, batch.actions, batch.gaps):
            array[hide, 1:] = array[hide, :-1]
            array[hide, 0] = 0
        batch.gaps[hide, -1] = batch.bridge[hide]
        return batch

    def not_sold(self, item_ids: Iterable[str]) -> list[str]:
        """The catalog does not have these any more. Which of them the network still knows, until `leave`."""
        return self.vocabulary.not_sold(item_ids)

    def leave(self, item_ids: Iterable[str]) -> None:
        """From here on these are nobody: what they taught stays in what was learned, their ids and rows go."""
        self._renumber(self.vocabulary.gone(item_ids))

    def _expire(self) -> None:
        """Looked for a hundred times in the time that it takes, by the clock of the events. A crowd goes at once."""
        self._renumber(self.vocabulary.crowded(self.training.strangers))
        if self._newest - self._looked >= self.training.expire_s / 100:
            self._looked = self._newest
            self._renumber(self.vocabulary.expire(self._newest - self.training.expire_s))

    def _renumber(self, rows: np.ndarray | None) -> None:
        if rows is not None:
            self._replay.renumber(rows)
            if self._rewards is not None:
                self._rewards.renumber(rows)
            self._frequency.renumber(torch.from_numpy(rows))

    def forget_vacated(self) -> None:
        """Ids that have changed hands begin at zero, with an optimizer that remembers nothing of the last owner."""
        if slots := self.vocabulary.vacated():
            for weight in (self.network.items.id.weight, self.network.bias.weight):
                for tensor in (weight.data, *(self.optimizer.state[weight].get(n) for n in ("exp_avg", "exp_avg_sq"))):
                    if tensor is not None:
                        tensor[slots] = 0.0

    def _step(self, batch: Batch) -> None:
        training, network = self.training, self.network
        network.train()
        self.forget_vacated()
        for group in self.optimizer.param_groups:
            group["lr"] = training.rate * min(1.0, (self.steps + 1) / training.warmup_steps)
        loss = self._loss(batch)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), training.clip)
        if not (math.isfinite(said := float(loss.detach())) and math.isfinite(norm)):
            self.skipped += 1  # one NaN in the weights would stay there for good
            return
        if self._lazy:
            step_rows(self.optimizer, network.tables)
        self.optimizer.step()
        self.steps += 1
        self.loss = said

    def _loss(self, batch: Batch) -> Tensor:
        with self._hardware.cast():
            return self._loss_of(batch)

    def _loss_of(self, batch: Batch) -> Tensor:
        training, network = self.training, self.network
        targets, happened, wanted, left = self._there(batch.targets, batch.happened, batch.wanted, batch.left)
        histories = Histories(*self._there(*batch[:3])).trimmed()
        items = self._items()
        v = network.items(items)  # [n, d]
        u, rows = network.users(v, histories), histories.rows  # [B, L, d]
        after = torch.cat([rows[:, 1:], targets.unsqueeze(1)], 1)  # [B, L] what came after each step
        real = (rows > 0) & (after > 0)  # what has left the catalog is neither a step nor what comes next
        real[:, :-1] &= self._turned_to[
            histories.actions[:, 1:]
        ]  # a no, or out of the cart: that is read, not foreseen
        real[:, -1] = wanted  # a shopper without a history has at least the moment
        there = targets > 0
        loss: Tensor = u.sum() * 0.0
        if bool(real.any()):
            loss = loss + self._next_item(u[real], v, items, after[real])
        if bool(there.any()):
            said = network.action(u[:, -1][there], v[targets[there]]).float()
            loss = loss + training.heads * action_heads(said, happened[there])
        if training.impressions:
            biased = with_bias(u[:, -1][wanted], v, network.bias(items.slot))
            loss = loss + training.impressions * impression_softmax(*biased, targets[wanted], left[wanted])
        if self._rewards is not None:
            loss = loss + training.policy * self._earned(self._rewards, v, items)
        return loss

    def _earned(self, rewards: Rewards, v: Tensor, items: Items) -> Tensor:
        """The policy gradient of some places that earned something. The policy is the next item's softmax.

        While there are fewer of them than a step takes they weigh no more for it: the sum is divided by what it takes.
        """
        training, network = self.training, self.network
        drawn = rewards.draw(training.policy_places, self._rng)
        if drawn is None:
            return v.sum() * 0.0
        actions, lengths, earned, propensities = self._there(*drawn[3:])
        u = network.users(v, Histories(*self._there(*drawn[:3])).trimmed())[:, -1]  # [B, d]
        if len(items.slot) <= training.full_until:
            logits, chosen = network.next_item(u, v, items), actions
        else:
            u, v = with_bias(u, v, network.bias(items.slot))
            sampled: Tensor = torch.randint(1, len(v), (training.negatives,)).unique()  # type: ignore[no-untyped-call]
            share = drawn_share(len(v), training.negatives)
            logits, chosen = estimated_logits(u, v, actions, sampled.to(v.device), share), torch.zeros_like(actions)
        loss = top_k_policy_gradient(logits.float(), chosen, earned, propensities, lengths, training.policy_cap)
        return loss * (len(actions) / training.policy_places)

    def _next_item(self, u: Tensor, v: Tensor, items: Items, targets: Tensor) -> Tensor:
        """The softmax over all items, or over those of the batch and some drawn from all: mixed negative sampling.

        Those of a batch alone are what people turn to; of what nobody does the network would never hear that (Yang et
        al. 2020). Corrected for how often an item is in the mixture, by the one way or the other.
        """
        self._frequency.see(targets.cpu())
        if len(items.slot) <= self.training.full_until:
            return full_softmax(self.network.next_item(u, v, items).float(), targets)
        u, v = with_bias(u, v, self.network.bias(items.slot))
        n, count = len(v), self.training.negatives
        drawn = torch.randint(1, n, (count,))  # on the CPU: the same ones on any device
        mixed: Tensor = torch.cat([targets.cpu(), drawn]).unique()  # type: ignore[no-untyped-call]
        log_q = mixed_log_q(self._frequency.log_q(n), count)
        return sampled_softmax(u, v, targets, mixed.to(v.device), log_q.to(v.device))

    # ------------------------------------------------------------------ checkpoints
    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All of it, so that `load` goes on as if nothing had been: arrays by name, and the rest as JSON."""
        vocabulary, words = self.vocabulary.state()
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        for number, kept in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in kept.items()}
        tensors |= {f"frequency.{name}": tensor for name, tensor in self._frequency.state().items()}
        tensors["random.torch"] = self._random
        arrays = {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}
        arrays |= {f"vocabulary.{name}": array for name, array in vocabulary.items()}
        arrays |= {f"replay.{name}": array for name, array in self._replay.state().items()}
        if self._rewards is not None:
            arrays |= {f"rewards.{name}": array for name, array in self._rewards.state().items()}
        random = self._rng.bit_generator.state
        numbers = {**random["state"], "has_uint32": random["has_uint32"], "uinteger": random["uinteger"]}
        said = {name: str(number) for name, number in numbers.items()}  # of 128 bits: more than JSON's numbers hold
        times = {"newest": self._newest, "looked": self._looked}
        return arrays, {"steps": self.steps, "vocabulary": words, "random": said, "times": times}

    def load(self, arrays: Mapping[str, np.ndarray], rest: Mapping[str, Any]) -> None:
        """Go on from `state()`; for a learner with the same training that has learned nothing yet."""

        def part(prefix: str) -> dict[str, np.ndarray]:
            return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

        self.network.load_state_dict({name: torch.from_numpy(array) for name, array in part("network.").items()})
        moments: dict[int, dict[str, Tensor]] = {}
        for name, array in part("optimizer.").items():
            number, _, what = name.partition(".")
            moments.setdefault(int(number), {})[what] = torch.from_numpy(array)
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self._frequency.load({name: torch.from_numpy(array) for name, array in part("frequency.").items()})
        self.vocabulary.load(part("vocabulary."), rest["vocabulary"])
        self._replay.load(part("replay."))
        if self._rewards is not None:
            self._rewards.load(part("rewards."))
        self.steps = int(rest["steps"])
        self._newest, self._looked = (float(rest["times"][name]) for name in ("newest", "looked"))
        numbers = {name: int(value) for name, value in rest["random"].items()}
        inner = {name: numbers.pop(name) for name in ("state", "inc")}
        self._rng.bit_generator.state = {**self._rng.bit_generator.state, "state": inner, **numbers}
        self._random = torch.from_numpy(arrays["random.torch"].copy())

    # ------------------------------------------------------------------ reading
    def log_probabilities(
        self, view: View, users: Sequence[UserState | None], now: Sequence[float]
    ) -> list[Floats | None]:
        """log P(next item) [view.size] for each user, as of each one's moment (see rec.value.SequenceModel)."""
        return [one.log_p for one in self._heard(view, users, now)]

    def hear(self, view: View, users: Sequence[UserState | None], now: Sequence[float]) -> list[Heard | None]:
        """The same, with what the heads have to say (see rec.value)."""
        return list(self._heard(view, users, now))

    @torch.no_grad()
    def _heard(self, view: View, users: Sequence[UserState | None], now: Sequence[float]) -> list[Heard]:
        self.network.eval()
        batch = empty(len(users), self.training.shape.steps)
        for at, (state, moment) in enumerate(zip(users, now, strict=True)):
            write_history(batch, at, state, moment, self._row_of)
        histories = Histories(*self._there(*batch[:3])).trimmed()
        items = self._items()
        with self._hardware.cast():
            v = self.network.items(items)
            u = self.network.users(v, histories)[:, -1]
            logits = self.network.next_item(u, v, items)
        rows = self.vocabulary.rows_of(view)
        said = F.log_softmax(logits.float(), -1).cpu()[:, rows]
        said[:, rows == 0] = -math.inf
        return heard_of(self.network, u.float(), v.float(), said, rows)

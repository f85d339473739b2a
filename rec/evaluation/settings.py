"""file of settings ⇄ **hyper-parameters** → gate, network, training, rules. What `rec tune` writes and `rec evaluate
--settings` reads. Pure, but for the file.

    {"format": 1, "gate": {"rate": 0.05}, "features": {"half_life_s": 172800}, "network": {…}, "training": {…}, …}

A file may name some of them; the others keep their defaults. Keys beside the four groups (`format`, `found`) are what
the file says about itself. Every knob has one range that a file may be in, and a narrower one that is searched.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from rec.errors import ConfigError
from rec.evaluation.prequential import Rules
from rec.gate import GateLearner
from rec.model.teaching import Shape, Training

FORMAT = 1
Value = float | int
Settings = Mapping[str, Value]  # "group.name" → value


class Knob(NamedTuple):
    """One hyper-parameter: the range it may be in, and what is tried."""

    default: Value
    low: Value
    high: Value
    tried: tuple[Value, Value] | tuple[Value, ...]  # a range, or with `choice` the values themselves
    log: bool = False
    choice: bool = False

    @property
    def whole(self) -> bool:
        return isinstance(self.default, int)


_SHAPE, _TRAINING, _RULES = Shape(), Training(), Rules()
DAY = 86_400.0
KNOBS: Mapping[str, Knob] = {
    "gate.rate": Knob(0.05, 1e-4, 1.0, (0.01, 0.3), log=True),
    "features.half_life_s": Knob(float(_RULES.half_life_s), 60.0, 3_650 * DAY, (0.1 * DAY, 60 * DAY), log=True),
    "features.history": Knob(_RULES.history, 10, 5_000, (50, 100, 200, 500, 1_000), choice=True),
    "network.dim": Knob(_SHAPE.dim, 8, 512, (32, 64, 96, 128), choice=True),
    "network.layers": Knob(_SHAPE.layers, 1, 8, (1, 3)),
    "network.heads": Knob(_SHAPE.heads, 1, 16, (1, 2, 4), choice=True),
    "network.steps": Knob(_SHAPE.steps, 2, 200, (20, 50, 100), choice=True),
    "network.dropout": Knob(_SHAPE.dropout, 0.0, 0.9, (0.0, 0.5)),
    "training.rate": Knob(_TRAINING.rate, 1e-6, 0.1, (2e-4, 5e-3), log=True),
    "training.batch": Knob(_TRAINING.batch, 32, 4_096, (64, 128, 256), choice=True),
    "training.replay": Knob(_TRAINING.replay, 128, 1_000_000, (2_000, 5_000, 20_000, 50_000), choice=True),
    "training.decay": Knob(_TRAINING.decay, 0.0, 1.0, (1e-4, 0.1), log=True),
    "training.hide": Knob(_TRAINING.hide, 0.0, 0.9, (0.0, 0.3)),
    "training.heads": Knob(_TRAINING.heads, 0.0, 10.0, (0.01, 1.0), log=True),
}
GROUPS = tuple(dict.fromkeys(name.partition(".")[0] for name in KNOBS))
WITHOUT_NETWORK = ("gate", "features")


def searched(*, network: bool) -> dict[str, Knob]:
    """The knobs that matter: without a network those of counters and gate."""
    return {name: knob for name, knob in KNOBS.items() if network or name.partition(".")[0] in WITHOUT_NETWORK}


# ---------------------------------------------------------------- the file
def read_settings(path: Path) -> dict[str, Value]:
    """What a file names. Raises ConfigError, naming the field, for whatever is not in it or not in its range."""
    try:
        body = msgspec.json.decode(path.read_bytes())
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path}: this is no JSON: {error}") from None
    return checked(body, str(path))


def checked(body: Any, where: str) -> dict[str, Value]:
    """The settings in a decoded file. Raises ConfigError."""
    if not isinstance(body, dict):
        raise ConfigError(f'{where}: an object is needed, like {{"gate": {{"rate": 0.05}}}}')
    if body.get("format", FORMAT) != FORMAT:
        raise ConfigError(f"{where}: format: {body['format']!r} is not known here, {FORMAT} is", field="format")
    found: dict[str, Value] = {}
    for group, values in body.items():
        if group in ("format", "found"):
            continue
        if group in KNOBS:
            inside, _, name = group.partition(".")
            like = f'{{"{inside}": {{"{name}": {KNOBS[group].default:g}}}}}'
            raise ConfigError(f"{where}: {group}: a setting is written inside its group, like {like}", field=group)
        if group not in GROUPS:
            raise _unknown(where, group, [*GROUPS, "format", "found"])
        if not isinstance(values, dict):
            raise ConfigError(f"{where}: {group}: an object is needed", field=group)
        for name, value in values.items():
            field = f"{group}.{name}"
            if field not in KNOBS:
                raise _unknown(where, field, list(KNOBS))
            found[field] = _in_range(where, field, value)
    whole = {name: knob.default for name, knob in KNOBS.items()} | found
    if whole["network.dim"] % whole["network.heads"]:
        raise ConfigError(
            f"{where}: network.heads: {whole['network.heads']} heads do not divide a dim of {whole['network.dim']}",
            field="network.heads",
        )
    return found


def _in_range(where: str, field: str, value: Any) -> Value:
    knob = KNOBS[field]
    kinds = (int,) if knob.whole else (int, float)
    kind = "a whole number" if knob.whole else "a number"
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise ConfigError(f"{where}: {field}: {value!r} is no {kind.partition(' ')[2]}", field=field)
    if not knob.low <= value <= knob.high:
        said = f"{kind} from {knob.low:g} to {knob.high:g} is needed"
        raise ConfigError(f"{where}: {field}: {value!r} is out of range, {said}", field=field)
    return value if knob.whole else float(value)


def _unknown(where: str, field: str, known: list[str]) -> ConfigError:
    near = get_close_matches(field, known, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
    return ConfigError(
        f"{where}: {field}: there is no such setting. {hint}", field=field, did_you_mean=near[0] if near else None
    )


def write_settings(path: Path, settings: Settings, found: Mapping[str, Any]) -> None:
    """One file, whole or not at all; `found` says where the values come from."""
    body: dict[str, Any] = {"format": FORMAT}
    for field, value in settings.items():
        group, _, name = field.partition(".")
        body.setdefault(group, {})[name] = value
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode({**body, "found": dict(found)}), indent=2) + b"\n")
    os.replace(part, path)


# ---------------------------------------------------------------- what they set
def _group(settings: Settings, group: str) -> dict[str, Any]:
    prefix = f"{group}."
    return {name.removeprefix(prefix): value for name, value in settings.items() if name.startswith(prefix)}


def rules_with(settings: Settings, rules: Rules) -> Rules:
    """The rules, with what the settings say of the counters and the history."""
    return rules._replace(**_group(settings, "features"))


def gate_with(settings: Settings) -> GateLearner:
    """A gate that has learned nothing yet."""
    return GateLearner(**_group(settings, "gate"))


def training_with(settings: Settings, *, text_dim: int, seed: int) -> Training:
    """How a network is taught, and of what size it is."""
    shape = Shape(text_dim=text_dim, **_group(settings, "network"))
    return Training(shape=shape, seed=seed, **_group(settings, "training"))

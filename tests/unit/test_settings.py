"""Settings that are worked out from others."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from rec.config import Language, load_settings
from rec.errors import ConfigError
from rec.search.words import LANGUAGES


@pytest.mark.parametrize(
    ("given", "location"),
    [
        ({}, "{here}/.rec/models"),
        ({"data_dir": "/srv/rec"}, "/srv/rec/models"),
        ({"data_dir": "/srv/rec", "models_url": "weights"}, "{here}/weights"),
        ({"models_url": "/mnt/models"}, "/mnt/models"),
        ({"models_url": "s3://bucket/models"}, "s3://bucket/models"),
    ],
)
def test_the_models_location_means_the_same_in_every_folder(
    given: dict[str, object], location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(**given).models_location == location.format(here=tmp_path)


def test_the_languages_of_the_settings_are_those_that_search_reads() -> None:
    assert set(get_args(Language)) == set(LANGUAGES)


@pytest.mark.parametrize("name", ["fill_s", "judge_s", "checkpoint_s", "late_s", "gather_s", "rate", "impressions"])
def test_what_a_model_is_taught_with_is_a_finite_number(name: str) -> None:
    with pytest.raises(ConfigError, match=f"REC_TRAIN_{name.upper()}: .*finite"):
        load_settings(**{f"train_{name}": float("inf")})


def test_to_learn_from_what_lists_earn_is_refused_where_nobody_joins_it() -> None:
    assert load_settings(train_rewards=0.1, feedback=True).train_rewards == 0.1
    with pytest.raises(ConfigError, match="REC_TRAIN_REWARDS: .*REC_FEEDBACK=true"):
        load_settings(train_rewards=0.1)

"""Settings: read once per process, from `REC_*` variables and `.env`, handed on as values.

Units are in the names (`_s` seconds, `_ms`, `max_`). Secrets never print. `rec doctor` shows what is in force.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from rec.errors import ConfigError

# Those of rec.search.words, which is not read where nothing is searched.
Language = Literal[
    "ar", "da", "nl", "en", "fi", "fr", "de", "el", "hu", "it", "no", "pt", "ro", "ru", "es", "sv", "ta", "tr", "zh",
    "none",
]  # fmt: skip


class Settings(BaseSettings):
    """Everything a process of Shunxi can be told."""

    model_config = SettingsConfigDict(env_prefix="REC_", env_file=".env", extra="ignore", frozen=True)

    # --- where the neighbours are
    broker_url: str = Field("kafka://127.0.0.1:9092", description="Kafka bootstrap: kafka://host:port[,host:port]")
    broker_security: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        "plaintext", description="Kafka's security.protocol"
    )
    broker_sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="Kafka's sasl.mechanism"
    )
    broker_username: str = Field("", description="with sasl_plaintext and sasl_ssl")
    broker_password: SecretStr = Field(SecretStr(""), description="with sasl_plaintext and sasl_ssl")
    broker_ca_file: str = Field("", description="PEM of who signed the broker's certificate; empty: the system's")
    broker_cert_file: str = Field("", description="PEM of our own certificate and key, where the broker asks for one")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="latest slates, pub/sub, presence, hints")
    database_url: str = Field("sqlite+aiosqlite:///.rec/rec.db", description="catalog, vectors, archive, erasures")
    data_dir: Path = Field(Path(".rec"), description="counter snapshots and what `rec up` keeps between runs")
    models_url: str = Field("", description="weights of the model: a folder or fsspec URL; empty: models in data_dir")

    # --- the log
    app_id: str = Field("shunxi", description="consumer group and changelog prefix; another value is another world")
    topic_prefix: str = Field("", description="put before every topic name")
    partitions: int = Field(8, ge=1, le=10_000, description="of every user-keyed topic; fixed once created")
    replication_factor: int = Field(1, ge=1, le=10)
    fetch_max_wait_ms: int = Field(500, ge=1, description="of the worker; Kafka never waits with a record at hand")
    retention_days: float = Field(7, gt=0, description="of behavior and dead letters; named in erasure receipts")
    commit_interval_s: float = Field(0.5, gt=0, description="at most this much is folded twice after a crash")
    session_timeout_s: float = Field(10, ge=1, description="a dead worker's partitions move after this")
    rebalance_timeout_s: float = Field(4, ge=1, description="a rebalance waits this long for a member to join again")
    recovery_stall_s: float = Field(10, gt=0, description="recovery without progress for this long ends the process")
    loop_stall_s: float = Field(10, gt=0, description="an event loop that stands this long ends the process")

    # --- the edge
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    api_key: SecretStr = Field(SecretStr(""), description="backends send it as Bearer; `rec up` makes one")
    token_secret: SecretStr = Field(SecretStr(""), description="signs browsers' JWTs, at least 32 characters")
    token_ttl_s: int = Field(900, ge=10, le=86_400)
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="exact origins of browsers; the server's own always is"
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (), description="networks of proxies, by comma: their X-Forwarded-For says which address connects"
    )
    max_connections: int = Field(20_000, ge=1)
    max_connections_per_user: int = Field(16, ge=1, description="of one web process, then 429 or close code 4009")
    connect_rate_per_s: float = Field(200, gt=0, description="new websockets a second from one address, then 429")
    frames_per_minute: int = Field(600, ge=1, description="commands a minute on one connection, then rate_limited")
    requests_per_minute: int = Field(
        300, ge=1, description="lists and searches a minute for one browser, and as many times events, then 429"
    )
    send_timeout_s: float = Field(5, gt=0, description="a client that does not read for this long is closed 4008")
    request_timeout_s: float = Field(2, gt=0, description="GET /v1/recommendations waits this long for its slate")
    dedupe_window_s: int = Field(86_400, ge=60, description="a repeated event_id is counted as duplicate this long")
    access_log: bool = Field(False, description="web logs a line for each request; see that something rotates it")
    metrics_port: int = Field(0, ge=0, le=65535, description="worker, archiver, trainer: serve /metrics here; 0: not")
    metrics_host: str = Field("127.0.0.1", description="the address that /metrics of these is served on")
    demo: bool = Field(False, description="serve the demo shop and tokens for its shoppers; never in production")

    # --- privacy
    idle_days: float = Field(400, gt=0, description="after so long without an event a user's state is dropped")
    consent_default: Literal["granted", "denied"] = "granted"
    erasure_secret: SecretStr = Field(SecretStr(""), description="keys the hashes of erased ids; empty: token_secret")

    # --- the list
    encoder: str = Field("all-MiniLM-L6-v2", description="the shipped MiniLM, or any Hugging Face encoder path or name")
    encoder_tuning: bool = Field(False, description="the trainer tunes the encoder with LoRA, on a slower clock")
    encoder_tune_s: float = Field(600, gt=0, description="that clock")
    encoder_tune_steps: int = Field(60, ge=1, description="contrastive steps a visit; a step reads up to 64 texts")
    strategy: dict[str, Any] = Field(
        {},
        description="JSON: how scores become lists (docs/policy.md); not set: a cold place, with feedback chance",
    )
    placements: dict[str, Any] = Field(
        {}, description="JSON: placement → what it shows: kinds, follows, reward, seen, sponsored (docs/scenes.md)"
    )
    rules_need_review: bool = Field(False, description="a change of a rule waits until somebody approves it")
    bandit_half_life_s: float = Field(2 * 86_400, gt=0, description="what a strategy earned counts half after this")
    bandit_floor: float = Field(0.05, ge=0, le=0.5, description="share of the lists that each strategy gets for sure")
    seen: Literal["keep", "exclude"] = Field("keep", description="whether items already viewed may be listed again")
    purchase_block_days: float = Field(30, ge=0, description="a bought item is not listed again this long")
    cart_block_days: float = Field(7, ge=0, description="nor one that was put into the cart; 0: it is, as any other")
    repurchase_days: dict[str, Annotated[float, Field(gt=0)]] = Field(
        {}, description="JSON: category → days after which it is bought again"
    )
    sensitive_categories: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="by comma: categories kept out of interests and of reasons"
    )
    fatigue_impressions: int = Field(6, ge=1, description="shown this often without a click: off the list for a day")
    history: int = Field(200, ge=10, le=5_000, description="actions kept of a user; `exclude` forgets those before")
    max_late_s: float = Field(86_400, gt=0, description="older events are stored, not folded")
    short_half_life_s: float = Field(1_800, gt=0)
    long_half_life_s: float = Field(30 * 86_400, gt=0)
    popularity_half_life_s: float = Field(2 * 86_400, gt=0)
    refresh_batch: int = Field(32, ge=1, description="lists made in one go")
    sweep_interval_s: float = Field(4, gt=0, description="every connected client's list is checked this often")
    counters_snapshot_s: float = Field(30, gt=0)
    # --- feedback
    feedback: bool = Field(False, description="join lists with what became of them; docs/feedback.md says more")
    feedback_placements: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="by comma: lists of these alone are joined; empty: all. A list that is not costs nothing"
    )
    feedback_window_s: float = Field(1_800, gt=0, description="what follows the first look at a list this long is its")
    feedback_late_s: float = Field(7_200, gt=0, description="a list is remembered this much longer, for late signs")
    feedback_half_life_s: float = Field(7 * 86_400, gt=0, description="of the counts behind CTR and CVR")
    # --- ads
    ads_pricing: Literal["second", "first"] = Field(
        "second", description="what a click on an ad costs: what keeps the place, or the bid"
    )
    ads_reserve: float = Field(0.01, ge=0, description="of a click on an ad; lower bids are left out")
    # --- search
    search_language: Language = Field(
        "en", description="of texts and queries, ISO 639-1; zh is segmented; none: as written"
    )
    search_synonyms: str = Field("", description="a file: `sofa, couch` or `tee => t-shirt` a line")
    search_vectors: bool = Field(True, description="read queries with the encoder, too: a process more for each worker")
    # --- the model
    train_fill_s: FiniteFloat = Field(2, gt=0, description="a batch of examples waits at most this long to be full")
    train_judge_s: FiniteFloat = Field(3, gt=0, description="this often what was learned may go live")
    train_checkpoint_s: FiniteFloat = Field(
        30, gt=0, description="at most this much is to be learned again after a crash"
    )
    train_late_s: FiniteFloat = Field(
        5, gt=0, description="further behind than this, a share of the examples is left out"
    )
    train_gather_s: FiniteFloat = Field(5, ge=0, description="erasures gather this long: each rebuild replays the log")
    train_from_archive: int = Field(20_000, ge=0, description="past examples that a new model of `rec up` begins with")
    train_threads: int = Field(1, ge=1, description="of the trainer's child process, on a CPU")
    device: str = Field(
        "auto", description="of the trainer, the text encoder and `rec evaluate`: auto, cpu, cuda, cuda:N"
    )
    precision: Literal["fp32", "bf16"] = Field("fp32", description="of their products; weights are always fp32")
    train_batch: int = Field(64, ge=2, description="examples a step, half of them new ones, half replayed")
    train_rate: FiniteFloat = Field(1e-3, gt=0, description="AdamW's step size")
    train_impressions: FiniteFloat = Field(
        0, ge=0, description="weight of the loss against what was shown and left alone"
    )
    train_rewards: FiniteFloat = Field(
        0,
        ge=0,
        description="weight of the policy gradient of what lists earned; above 0 it needs REC_FEEDBACK",
    )
    model_dim: int = Field(64, ge=8, description="width of the network")
    model_layers: int = Field(2, ge=1, description="of its transformer")
    model_steps: int = Field(50, ge=2, le=200, description="actions of a history that the network reads")
    image_dim: int = Field(0, ge=0, le=4096, description="numbers of an item's `image_vector`; 0: images are not read")
    model_ids: int = Field(20_000, ge=1, description="items that can have an id embedding at a time")
    model_admit_after: int = Field(1, ge=1, description="actions on an item until it has an id embedding of its own")
    model_expire_days: float = Field(90, gt=0, description="not acted on for so long, an item loses its id embedding")
    value_click: float = Field(1, description="worth of a click; lists are ordered by chance times worth")
    value_cart: float = Field(2, description="worth of an add_to_cart beside it")
    value_purchase: float = Field(4, description="worth of a purchase beside it")
    value_dislike: float = Field(-4, description="worth of a not_interested beside it; below 0: to be avoided")
    model_poll_s: float = Field(2, gt=0, description="workers look for another live version this often")
    seed: int = Field(0, description="of the trainer; the same log and seed give the same weights")

    # --- the archive
    archive_flush_s: float = Field(0.25, gt=0, description="at most this much of the stream is in memory alone")

    @field_validator("allowed_origins", "sensitive_categories", "feedback_placements", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(v.strip() for v in value.split(",") if v.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        """By itself, so that the error names what is no network."""
        return tuple(ip_network(v.strip()) for v in value.split(",") if v.strip()) if isinstance(value, str) else value

    @field_validator("train_rewards")
    @classmethod
    def _is_fed(cls, value: float, info: ValidationInfo) -> float:
        if value > 0 and not info.data.get("feedback"):
            raise ValueError("above 0 it needs REC_FEEDBACK=true: nobody knows what lists earned without it")
        return value

    def joins(self, placement: str) -> bool:
        """Whether lists of this placement are joined with what became of them."""
        return self.feedback and (not self.feedback_placements or placement in self.feedback_placements)

    @property
    def sells_ads(self) -> bool:
        """Whether a placement has sponsored places, and so impressions of ads are counted by shopper."""
        return any(isinstance(fields, dict) and fields.get("sponsored") for fields in self.placements.values())

    @property
    def bootstrap(self) -> list[str]:
        """Kafka's host:port list, without the scheme that Faust wants."""
        return [part.removeprefix("kafka://") for part in self.broker_url.split(",")]

    def topic(self, name: str) -> str:
        return self.topic_prefix + name

    @property
    def counters_path(self) -> Path:
        """The counters' snapshot: written by workers, and by `rec up` when it restores them from the archive."""
        return self.data_dir / f"counters-{self.app_id}.msgpack"

    @property
    def rates_path(self) -> Path:
        """The snapshot of CTR and CVR."""
        return self.data_dir / f"rates-{self.app_id}.msgpack"

    @property
    def rewards_path(self) -> Path:
        """The snapshot of what each strategy earned."""
        return self.data_dir / f"rewards-{self.app_id}.msgpack"

    @property
    def ads_path(self) -> Path:
        """The snapshot of what campaigns have spent, and of what becomes of ads."""
        return self.data_dir / f"ads-{self.app_id}.msgpack"

    @property
    def fusion_path(self) -> Path:
        """What clicks have taught this worker's search."""
        return self.data_dir / f"search-{self.app_id}.json"

    @property
    def models_location(self) -> str:
        """Where checkpoints lie: a URL, or an absolute path, which means the same to a process of another folder."""
        if "://" in self.models_url:
            return self.models_url
        return str(Path(self.models_url or self.data_dir / "models").absolute())

    @property
    def users_changelog(self) -> str:
        """Name of the changelog of the per-user table, as Faust makes it."""
        return f"{self.app_id}-users-changelog"

    @property
    def windows_changelog(self) -> str:
        """Name of the changelog of the table of feedback windows."""
        return f"{self.app_id}-windows-changelog"


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment; raises ConfigError naming the variable and what is wrong with it."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except SettingsError as error:  # what is to be JSON and is none
        named = re.search(r'field "(\w+)"', str(error))
        variable = f"REC_{named[1].upper()}" if named else "a REC_* variable"
        told = f"{variable}: not valid JSON. Set it in the environment or in .env."
        raise ConfigError(told, field=variable) from None
    except ValidationError as error:
        first = error.errors()[0]
        name = "REC_" + "_".join(str(part) for part in first["loc"]).upper()
        raise ConfigError(f"{name}: {first['msg']}. Set it in the environment or in .env.", field=name) from None

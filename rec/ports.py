"""What the loop needs of the outside world, as protocols. Backends live in `rec.store`; all obey tests/contracts.

Every method may raise `rec.errors.Unavailable` when the dependency is away, and nothing else on purpose.
Backends are async context managers: entering connects (or raises Unavailable), leaving closes what was opened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from rec.browsing import Browsing
from rec.catalog import Item
from rec.clock import Timed
from rec.events import Event
from rec.policy.desk import Rules
from rec.policy.store import Strategies
from rec.slates import Position
from rec.topics import Topic
from rec.versions import ModelVersion as ModelVersion
from rec.vitals import Reports


# ---------------------------------------------------------------- the log: Kafka
class Record(NamedTuple):
    """One record of a topic. `timestamp` is the broker's, seconds since 1970."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    key: bytes
    value: bytes | None


class Log(Protocol):
    """Writing to topics, and reading whole topics without a group."""

    async def create(self, topics: Iterable[Topic]) -> None:
        """Create what is missing. A topic that exists with other partitions raises ConfigError saying what to do."""

    async def publish(self, topic: str, key: str, value: bytes | None) -> None:
        """Returns once the broker has acknowledged. Partition: `topics.partition_of(key)`; None is a tombstone."""

    async def publish_many(self, topic: str, pairs: Sequence[tuple[str, bytes | None]]) -> None:
        """The same for many, all acknowledged on return; in order within a key."""

    async def ends(self, topic: str) -> dict[int, int]:
        """Next offset of each partition."""

    async def first_from(self, topic: str, partition: int, offset: int) -> int | None:
        """Offset of the first record from there on, or None. What ends a transaction has an offset and is no record."""

    def tail(self, topic: str, offsets: Mapping[int, int] | None = None) -> AsyncIterator[list[Record]]:
        """All partitions from `offsets` (missing or too old: the earliest), for ever; never an empty list."""

    def group(self, topic: str, group: str) -> GroupReader:
        """A member of a consumer group, for work shared between processes."""


class GroupReader(Protocol):
    """Shared reading with commits by hand: at least once, nothing is skipped."""

    async def __aenter__(self) -> GroupReader: ...
    async def __aexit__(self, *exc: object) -> None: ...
    async def batch(self, limit: int, within_s: float) -> list[Record]:
        """Up to `limit` records; waits at most `within_s` for the first, and returns [] if there was none."""

    async def commit(self) -> None:
        """All that `batch` has returned so far is done."""

    async def positions(self) -> dict[int, int]:
        """Of each assigned partition, the offset from which `batch` goes on."""

    async def lag(self) -> int:
        """Records of the assigned partitions not yet returned by `batch`."""


# ---------------------------------------------------------------- the exchange: Redis
class StoredSlate(NamedTuple):
    """The newest slate of a user and screen as stored: its position, how many items, and its JSON."""

    screen: str  # rec.screens: the placement, or placement/item_id
    position: Position
    n: int
    body: bytes


class Pushed(NamedTuple):
    """A slate on its way to a connected user."""

    user_id: str
    slate: StoredSlate


class Reply(NamedTuple):
    """An answer to one request of this web process. `body` is JSON: {"slate":…}, {"state":…} or {"error":…}."""

    request_id: str
    body: bytes


class Hint(NamedTuple):
    """A nudge to all processes: `catalog`, `rules`, `strategies` (experiments too), `erased` (a user), `model`."""

    kind: str
    subject: str


class Wanted(NamedTuple):
    """What an online user looks at: screen (see rec.screens) → n."""

    user_id: str
    screens: Mapping[str, int]


class Exchange(Timed, Reports, Protocol):
    """Latest slates, pushes, replies, presence, remembered event ids, hints. At-most-once messages, durable latest."""

    # -- slates
    async def store_slates(self, slates: Sequence[Pushed], push: bool = True) -> None:
        """Keep each as the latest unless the kept one of the same epoch is newer, and publish those that were kept.

        One round trip for all of them. A slate expires after a day without a successor, one about a product after
        ten minutes: there may be one for each product that a shopper passes by. Of one user at most
        `rec.store.presence.KEPT_SLATES` are kept; beyond that those go that would expire first.
        """

    async def latest(self, user_id: str, screen: str) -> StoredSlate | None: ...
    async def positions(self, wanted: Sequence[tuple[str, str]]) -> list[Position | None]:
        """Positions of the latest slates of (user, screen) pairs, in one round trip."""

    async def watch(self, user_id: str) -> None:
        """From the return of this call on, `pushes()` yields what is stored for this user."""

    async def unwatch(self, user_id: str) -> None: ...
    def pushes(self) -> AsyncIterator[Pushed | None]:
        """Pushes for watched users, for ever. None means: the connection was lost and is back, read latest again."""

    # -- replies
    async def reply(self, to: str, reply: Reply) -> None: ...
    def replies(self, node: str) -> AsyncIterator[Reply]:
        """Replies to this web process, for ever."""

    # -- presence
    async def announce(self, node: str, wanted: Wanted) -> bool:
        """This user is connected to this node, with these screens; none means gone. Expires after 30 s untended. False,
        and nothing has changed: over all nodes these would be more than `MAX_USER_SCREENS`, and more than now."""

    async def tend(self, node: str) -> None:
        """Keep this node's announcements alive for another 30 s."""

    async def retire(self, node: str) -> None:
        """Drop all announcements of this node."""

    async def online(self) -> list[Wanted]:
        """Everyone who is connected anywhere, nodes merged (the larger n counts)."""

    def arrivals(self) -> AsyncIterator[Wanted | None]:
        """Announcements for ever, nodes merged. None, first and after a gap: it listens from here on, call online()."""

    # -- remembered ids, consent
    async def known(self, event_ids: Sequence[str], subjects: Sequence[str]) -> tuple[set[str], set[str]]:
        """Which of the event ids were remembered, and which of the subjects have denied consent; one round trip."""

    async def remember(self, event_ids: Sequence[str], ttl_s: int) -> set[str]:
        """Those of them that were remembered already: of all who say the same id at once, one is the first."""

    async def set_denied(self, user_id: str, denied: bool) -> None: ...
    async def set_all_denied(self, user_ids: Sequence[str], denied: bool) -> None:
        """The same for many, in one round trip."""

    # -- hints, leases, erasure
    async def hint(self, hint: Hint) -> None: ...
    def hints(self) -> AsyncIterator[Hint | None]:
        """Hints for ever. None first, and after a lost connection: assume any hint was missed."""

    async def lease(self, name: str, holder: str, ttl_s: float) -> bool:
        """Take or prolong a lease; False while somebody else holds it."""

    async def set_worker_state(self, worker: str, state: str) -> None:
        """This worker is "recovering" or "ready". Kept for 15 s, so say it again every few."""

    async def worker_states(self) -> dict[str, str]:
        """worker → state, of those that said so within the last 15 s."""

    async def forget(self, user_id: str) -> int:
        """Remove slates, presence and consent mark of a user; how many keys went."""

    async def forget_slates(self, user_id: str) -> int:
        """Remove a user's slates alone; how many keys went."""

    async def keys_of(self, user_id: str) -> dict[str, Any]:
        """What is stored about a user, for them to read."""

    async def ping(self) -> float:
        """Round trip in seconds."""


# ---------------------------------------------------------------- the database: SQL
class CatalogPage(NamedTuple):
    """Changes of the catalog up to `revision`: upserts and ids of deleted items."""

    revision: int
    items: list[Item]
    deleted: list[str]


class Catalogs(Protocol):
    async def put_items(self, items: Sequence[Item]) -> int:
        """Insert or replace; the new revision. Revisions become visible in order, so a reader never misses one."""

    async def get_item(self, item_id: str) -> Item | None: ...
    async def delete_item(self, item_id: str) -> bool: ...
    async def changes(self, since: int, limit: int = 5_000) -> CatalogPage:
        """What changed after revision `since`, oldest first; `revision == since` when there is nothing."""

    async def count_items(self) -> int: ...


class Vectors(Protocol):
    async def get_vectors(self, encoder: str, digests: Sequence[str]) -> dict[str, bytes]:
        """digest → little-endian float32 bytes, for those that are there."""

    async def put_vectors(self, encoder: str, vectors: Mapping[str, bytes]) -> None: ...
    async def drop_vectors(self, encoder: str) -> int:
        """Remove all vectors of an encoder that nobody reads any more; how many there were."""


class Chosen(NamedTuple):
    """What the choices of somebody come to, see `rec.consent.Standing`. No `since`: nobody ever denied."""

    denied: bool
    at: datetime
    since: datetime | None = None
    follows: bool = False


ChoiceKey = tuple[str, str]  # keyed hash of the subject, and the use: "personalization" or "analytics"


class Archive(Protocol):
    async def append(
        self, events: Sequence[tuple[Event, bytes]], choices: Mapping[ChoiceKey, Chosen] | None = None
    ) -> int:
        """Store (event, its JSON) rows; exactly one row per event_id however often it comes; how many were new.

        Of several records of one event the one that says most is kept, in whatever order they come: see
        `rec.archive_rules.says_more`. `choices` are stored with them or not at all; an older one never replaces a
        newer one.
        """

    async def choices_of(self, hashes: Sequence[str]) -> dict[ChoiceKey, Chosen]:
        """The newest choices of these subjects, as far as there are any."""

    async def forget_choices(self, subject_hash: str) -> int:
        """Delete the choices of a subject; how many there were."""

    def read(
        self, chunk: int = 2_000, after: int = 0, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncIterator[list[tuple[int, bytes]]]:
        """(sequence number, JSON) in the order in which they were appended; never an empty list. `after` goes on behind
        a number; `since` (included) and `until` (excluded) bound the `event_ts`."""

    async def count_events(self) -> int: ...
    async def events_of(self, user_id: str, visitors: Sequence[str] = ()) -> list[bytes]:
        """Every event whose subject this is (the user, or a visitor without one), newest first, however many.

        With `visitors`, what these did without a user too; what another user did on the same device is not theirs.
        """

    async def delete_events_of(
        self, user_id: str | None, visitors: Sequence[str] = (), until: datetime | None = None
    ) -> int:
        """Delete the same events, with `until` those alone that happened by then (included). How many."""


class Erasure(NamedTuple):
    """A receipt: what was removed where and when. `user_hash` is keyed; the id itself is not kept."""

    erasure_id: str
    user_hash: str
    requested_at: datetime
    steps: list[dict[str, Any]]


class Erasures(Protocol):
    async def open_erasure(self, erasure_id: str, user_hash: str, requested_at: datetime) -> None: ...
    async def add_step(self, erasure_id: str, store: str, removed: int, at: datetime, note: str = "") -> None:
        """One line of the receipt. The same store again replaces its line, unless that says that more went."""

    async def get_erasure(self, erasure_id: str) -> Erasure | None: ...
    async def erasures(self) -> list[Erasure]:
        """All of them, oldest first."""

    async def erased_at(self, user_hash: str) -> datetime | None:
        """When this one was last erased."""

    async def suppressed(self, since: datetime | None = None) -> dict[str, datetime]:
        """user_hash → when erased; events that happened before that moment are refused for ever."""


class Audit(Protocol):
    async def record(self, actor: str, action: str, target: str, detail: Mapping[str, Any]) -> None: ...
    async def recent(self, limit: int = 100) -> list[dict[str, Any]]: ...


class Models(Protocol):
    """The versions of the model. Their rules are in rec.versions, their weights in rec.model.checkpoint."""

    async def record_version(self, version: ModelVersion) -> None:
        """Insert, or replace the one of this name; never changes which one is live, pinned or withdrawn."""

    async def version_of(self, name: str) -> ModelVersion | None: ...
    async def versions(self, limit: int = 50, before: str | None = None) -> list[ModelVersion]:
        """The newest, or those that were recorded before the version named; NotFound if there is none of that name."""

    async def live_version(self) -> ModelVersion | None: ...
    async def go_live(self, name: str, note: str = "", *, rolled_back: bool = False, pin: bool = False) -> ModelVersion:
        """Let a version serve instead of the live one, which is past (or `rolled_back`); as it is now.

        `pin` pins it too. Without it, ModelError while another is pinned. ModelError for one that is withdrawn or has
        no weights, NotFound for an unknown one. However many do this at once, one is live afterwards.
        """

    async def withdraw(self, before: str, note: str) -> list[ModelVersion]:
        """Those recorded before the one named may not go live again, and lose their pin; who was not withdrawn yet.

        A live one too, but it serves on (state `live`, `withdrawn` true) until another goes live. NotFound.
        """

    async def pin(self, name: str | None) -> None:
        """A person's choice: while it is pinned nothing else goes live by itself. None lets go. NotFound for an
        unknown one, ModelError for one that is withdrawn."""

    async def pinned(self) -> str | None: ...
    async def prune_versions(self, keep: int, needed: Collection[str] = ()) -> list[ModelVersion]:
        """Delete all but the newest `keep`, live, pinned and `needed` ones, and their bases; who went, oldest first."""


class Database(Catalogs, Browsing, Vectors, Archive, Erasures, Audit, Models, Rules, Strategies, Protocol):
    """All of SQL behind one connection pool."""

    async def ping_database(self) -> float:
        """Round trip in seconds."""

    async def schema_revision(self) -> str | None:
        """The Alembic revision in force; None before the first migration."""

"""`rec.ports.Models` on a dictionary: the registry of model versions for one process, gone when it ends."""

from __future__ import annotations

from collections.abc import Collection

from rec.ports import ModelVersion
from rec.versions import (
    LIVE,
    may_be_pinned,
    may_be_withdrawn,
    may_go_live,
    prunable,
    replaced,
    storable,
    unknown,
    withdrawn_state,
)


class MemoryVersions:
    """Nothing awaits in the middle of a change, so each is atomic."""

    def __init__(self) -> None:
        super().__init__()
        self._versions: dict[str, ModelVersion] = {}  # in the order of recording
        self._pinned: str | None = None

    async def record_version(self, version: ModelVersion) -> None:
        self._versions[version.version] = storable(version, self._versions.get(version.version))

    async def version_of(self, name: str) -> ModelVersion | None:
        return self._versions.get(name)

    async def versions(self, limit: int = 50, before: str | None = None) -> list[ModelVersion]:
        if before is not None and before not in self._versions:
            raise unknown(before)
        names = list(self._versions)
        older = names[: names.index(before)] if before is not None else names
        return [self._versions[name] for name in older[::-1][:limit]]

    async def live_version(self) -> ModelVersion | None:
        return next((each for each in self._versions.values() if each.state == LIVE), None)

    async def go_live(self, name: str, note: str = "", *, rolled_back: bool = False, pin: bool = False) -> ModelVersion:
        chosen = may_go_live(name, self._versions.get(name), None if pin else self._pinned)
        live = await self.live_version()
        if live is not None and live.version != name:
            self._versions[live.version] = live._replace(state=replaced(live, rolled_back))
        self._versions[name] = chosen = chosen._replace(state=LIVE, note=note)
        if pin:
            self._pinned = name
        return chosen

    async def withdraw(self, before: str, note: str) -> list[ModelVersion]:
        older = await self.versions(len(self._versions), before)
        concerned = [each for each in older if not each.withdrawn and may_be_withdrawn(each)]
        for each in concerned:
            self._versions[each.version] = each._replace(state=withdrawn_state(each), withdrawn=True, note=note)
        if self._pinned is not None and self._versions[self._pinned].withdrawn:
            self._pinned = None
        return concerned

    async def pin(self, name: str | None) -> None:
        if name is not None:
            may_be_pinned(name, self._versions.get(name))
        self._pinned = name

    async def pinned(self) -> str | None:
        return self._pinned

    async def prune_versions(self, keep: int, needed: Collection[str] = ()) -> list[ModelVersion]:
        gone = prunable(list(self._versions.values()), keep, needed, self._pinned)
        for each in gone:
            del self._versions[each.version]
        return gone

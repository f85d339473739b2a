"""A trainer in a process of its own, to be killed: `python -m tests.agents.pupil FOLDER EXAMPLES`.

What survives a kill is what lies in the folder. The log is made again at each start, record by record the same, as a
broker would have kept it. A line says how many examples it has learned from, and the pid of its child; the last one is
`digest` and that of the newest checkpoint.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import tests.agents.level  # noqa: F401  its child, which imports this module, too, gets its share of the cores
from agents import trainer as trainers
from rec.examples import Tick
from tests.agents.school import School, walks


async def learn(folder: Path, count: int) -> None:
    trainers.BATCH = 64  # small steps: there is much to be killed in between
    school = School(folder)
    await school.open()
    await school.say([*walks(6, count), Tick()])
    async with school.trainer() as trainer:
        said = 0
        while trainer.taken.offset < school.log_end or trainer.taken.waiting:
            if trainer.taken.learned != said:
                said = trainer.taken.learned
                sys.stdout.write(f"{said} {school.gpu.pids[0]}\n")
                sys.stdout.flush()
            await asyncio.sleep(0.002)
    sys.stdout.write(f"digest {await school.digest()}\n")


if __name__ == "__main__":
    asyncio.run(learn(Path(sys.argv[1]), int(sys.argv[2])))

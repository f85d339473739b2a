"""The trainer's composition root: stores, child process, registry, and the loop that runs until somebody says stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from agents.catalog_reader import CatalogReader
from agents.checkpoints import Checkpoints
from agents.curves import Curves
from agents.epochs import Epochs
from agents.gpu import Gpu
from agents.metrics import TrainerMetrics, serve
from agents.paces import Paces
from agents.rhythm import Rhythm
from agents.stores import forgetting_of, open_stores
from agents.trainer import Trainer
from agents.tuner import Tuner
from agents.tuning import Tuning
from agents.unlearning import Unlearning
from agents.versions import Versions
from rec.config import Settings
from rec.errors import RecError, Unavailable
from rec.model.device import Hardware, hardware_of
from rec.model.teaching import Shape, Teaching, Training, Tune
from rec.model.weights import encoder_dim, encoder_id
from rec.ports import Database, Exchange, Log
from rec.signals import stop_on_signals
from rec.topics import EXAMPLES, topics
from rec.vitals import process_name, tell

log = logging.getLogger(__name__)

LEASE_S = 15.0


def teaching_of(settings: Settings) -> Teaching:
    """How the settings want the model taught. Raises ModelError if the encoder is not there."""
    shape = Shape(
        dim=settings.model_dim,
        layers=settings.model_layers,
        steps=settings.model_steps,
        ids=settings.model_ids,
        text_dim=encoder_dim(settings.encoder),
        image_dim=settings.image_dim,
    )
    training = Training(
        shape=shape,
        batch=settings.train_batch,
        new=settings.train_batch // 2,
        rate=settings.train_rate,
        impressions=settings.train_impressions,
        policy=settings.train_rewards,
        admit_after=settings.model_admit_after,
        expire_s=settings.model_expire_days * 86_400.0,
        seed=settings.seed,
    )
    return Teaching(
        training,
        half_life_s=settings.popularity_half_life_s,
        consent_default=settings.consent_default == "granted",
        encoder=encoder_id(settings.encoder),
    )


async def run_trainer(settings: Settings) -> None:
    """Train until SIGTERM or SIGINT. Raises ConfigError if the device that is asked for is not there."""
    hardware = await asyncio.to_thread(hardware_of, settings)
    log.info("learning on %s in %s", hardware.device, hardware.precision)
    stop = stop_on_signals()
    metrics = TrainerMetrics()
    serve(metrics.registry, settings)
    async with open_stores(settings) as (to, exchange, database):
        await to.create(topics(settings))
        await lead(settings, hardware, to, exchange, database, metrics, stop)


async def lead(
    settings: Settings,
    hardware: Hardware,
    to: Log,
    exchange: Exchange,
    database: Database,
    metrics: TrainerMetrics,
    stop: asyncio.Event,
) -> None:
    """Wait for the lease, and train for as long as it lasts. Raises what ended the training (see `_ended`)."""
    holder = process_name()
    if not await _is_first(exchange, holder, stop):
        return
    failed: RecError | None = None
    async with asyncio.TaskGroup() as tasks:
        lease = tasks.create_task(_keep(exchange, holder, stop))
        telling = tasks.create_task(tell(exchange, metrics.told(), role="trainer", name=holder))
        try:
            await train(settings, hardware, to, exchange, database, metrics, stop)
        except RecError as error:  # out of the group it would be an ExceptionGroup, and no exit code
            failed = error
        lease.cancel()
        telling.cancel()
    if failed is not None:
        raise _ended(failed) from failed


def _ended(error: RecError) -> RecError:
    """What people read when the trainer ends by itself.

    >>> _ended(Unavailable("SQL is away")).message
    'SQL is away. The trainer ends here. Whoever keeps it (rec up does) starts it again, from its last checkpoint on'
    """
    if not isinstance(error, Unavailable):
        return error
    return Unavailable(
        f"{error.message.rstrip('.')}. The trainer ends here. Whoever keeps it (rec up does) starts it again, "
        "from its last checkpoint on"
    )


async def train(
    settings: Settings,
    hardware: Hardware,
    to: Log,
    exchange: Exchange,
    database: Database,
    metrics: TrainerMetrics,
    stop: asyncio.Event,
) -> None:
    """Wire the trainer and run it until `stop`."""
    teaching = await asyncio.to_thread(teaching_of, settings)
    topic, location = settings.topic(EXAMPLES), settings.models_location
    checkpoints = Checkpoints(f"{location}/checkpoints")
    async with Curves(settings.data_dir / "curves") as curves, Gpu(teaching, hardware) as gpu:
        versions = Versions(
            gpu=gpu,
            database=database,
            exchange=exchange,
            location=f"{location}/versions",
            on_verdict=lambda verdict: metrics.verdicts.labels(kind=verdict.kind).inc(),
        )
        epochs = Epochs(database=database, gpu=gpu, base=teaching.encoder, location=f"{location}/adapters")
        trainer = Trainer(
            source=to,
            topic=topic,
            gpu=gpu,
            versions=versions,
            unlearning=Unlearning(source=to, topic=topic, checkpoints=checkpoints, database=database),
            checkpoints=checkpoints,
            paces=Paces(f"{location}/paces"),
            catalog=CatalogReader(database, teaching.encoder),
            epochs=epochs,
            tuning=_tuning(settings, hardware, database, gpu, epochs, checkpoints, metrics)
            if settings.encoder_tuning
            else None,
            forgetting=forgetting_of(settings, to, exchange, database),
            metrics=metrics,
            curves=curves,
            config={"dim": settings.model_dim, "layers": settings.model_layers, "steps": settings.model_steps,
                    "batch": settings.train_batch, "rate": settings.train_rate, "seed": settings.seed},
            rhythm=Rhythm(
                fill=settings.train_fill_s,
                judge=settings.train_judge_s,
                checkpoint=settings.train_checkpoint_s,
                late=settings.train_late_s,
                gather=settings.train_gather_s,
            ),
        )  # fmt: skip
        log.info("training")
        await trainer.run(stop)


def _tuning(
    settings: Settings,
    hardware: Hardware,
    database: Database,
    gpu: Gpu,
    epochs: Epochs,
    checkpoints: Checkpoints,
    metrics: TrainerMetrics,
) -> Tuning:
    """The encoder's slower clock."""
    return Tuning(
        database=database,
        gpu=gpu,
        tuner=Tuner(settings.encoder, epochs.location, settings.train_threads, hardware.device),
        epochs=epochs,
        checkpoints=checkpoints,
        how=Tune(steps=settings.encoder_tune_steps, seed=settings.seed),
        every_s=settings.encoder_tune_s,
        metrics=metrics,
    )


async def _is_first(exchange: Exchange, holder: str, stop: asyncio.Event) -> bool:
    """Wait until no other trainer is at work; False if told to stop before."""
    said = False
    while not stop.is_set():
        if await exchange.lease("trainer", holder, LEASE_S):
            return True
        if not said:
            log.info("another trainer is at work; waiting for it to end")
            said = True
        await _pause(stop, LEASE_S / 5)
    return False


async def _keep(exchange: Exchange, holder: str, stop: asyncio.Event) -> None:
    """Prolong the lease; whoever has lost it stops, for another has begun."""
    while not stop.is_set():
        await _pause(stop, LEASE_S / 3)
        try:
            if not await exchange.lease("trainer", holder, LEASE_S):
                log.error("another trainer has taken over; this one stops")
                stop.set()
        except Unavailable as error:
            log.warning("the lease could not be prolonged: %s", error.message)


async def _pause(stop: asyncio.Event, for_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(for_s):
            await stop.wait()

"""The training loop.

Nothing here is random by itself: data order, augmentation, mixing, dropout and drop path each follow from the run's seed and the
place in the run, so a run that is killed and resumed computes the same bits as one that was not (on CPU, with the same threads).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from pydantic import ValidationError

from edgewise.data.augment import TrainTransform
from edgewise.data.dataset import Dataset
from edgewise.data.loader import KEEP_BYTES, Batch, EvalLoader, TrainLoader
from edgewise.data.transforms import EvalTransform
from edgewise.errors import CheckpointError, Interrupted, NonFiniteLossError, OutputError, shown
from edgewise.models.deployed_form import FORM, FUSED
from edgewise.records.peak_memory import peak_rss_bytes
from edgewise.records.training import EpochRecord, EvalRecord, TrainRecord
from edgewise.spec.model import ModelSpec
from edgewise.spec.text import dump_spec
from edgewise.train.budget import (
    LATEST,
    MARGIN,
    Pace,
    first_plan,
    measure_eval_s,
    measure_step_s,
    steps_within,
    whole_epochs,
)
from edgewise.train.checkpoint import CheckpointStore
from edgewise.train.config import TrainConfig
from edgewise.train.initial_weights import INITIAL_WEIGHTS, start_network
from edgewise.train.learner import Learner
from edgewise.train.listener import Listener, StepView
from edgewise.train.outcome_files import OutcomeFiles
from edgewise.train.run_folder import RunFolder
from edgewise.train.signals import StopRequest
from edgewise.train.state import LoopState
from edgewise.train.task import Classification, Task


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """What to train, on what, and where to."""

    config: TrainConfig
    spec: ModelSpec
    dataset: Dataset
    folder: RunFolder
    resume_command: str = "edgewise train --resume RUN"
    """Shown when a signal stops the run."""
    listener: Listener = field(default_factory=Listener)


def train(job: TrainJob) -> TrainRecord:
    """Train from the folder's newest checkpoint, or from the start where there is none.

    Returns:
        The record, also written as `train.json`; the best weights are in `weights/best.safetensors`.

    Raises:
        NonFiniteLossError: the loss or its gradient is NaN or infinite; nothing of that step is kept.
        OutputError: the disk refused the weights at every validation.
        Interrupted: SIGINT or SIGTERM came; the state is saved.
        CheckpointError: all checkpoints are damaged, or of another model.
        WeightsError: the folder's copy of the weights to start from is missing or damaged.
        DataError: an image that was readable when the data set was opened no longer is.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(job.config.threads)
    try:
        with torch.random.fork_rng(devices=[]), StopRequest() as stop:
            run = _Run(job, stop)
            try:
                return run.run()
            finally:
                run.close()
    finally:
        torch.set_num_threads(threads)


class _Run:
    def __init__(self, job: TrainJob, stop: StopRequest) -> None:
        begun = time.monotonic()
        config = self.config = job.config
        self.job, self.stop, self.listener = job, stop, job.listener
        network, initial = start_network(job.spec, config, job.folder.initial)
        self.learner = Learner(network, config)
        self.task: Task = Classification(config, job.dataset.labels)
        self.loader = TrainLoader(
            job.dataset.train,
            TrainTransform(config.augment, config.preprocessing.img_size, config.preprocessing.interpolation),
            batch_size=config.batch,
            seed=config.seed,
            workers=config.workers,
        )
        self.val_loader = EvalLoader(
            job.dataset.val,
            EvalTransform(config.preprocessing),
            batch_size=config.batch,
            workers=config.workers,
            keep_bytes=KEEP_BYTES,
        )
        self.micro_batches = min(config.accumulate, len(self.loader))
        self.steps_per_epoch = max(1, len(self.loader) // self.micro_batches)
        self.store = CheckpointStore(job.folder.checkpoints)
        self.files = OutcomeFiles(
            job.folder,
            {
                "edgewise.spec": dump_spec(job.spec),
                "edgewise.labels": "\n".join(job.dataset.labels),
                "edgewise.preprocessing": config.preprocessing.model_dump_json(),
            }
            | ({INITIAL_WEIGHTS: initial.model_dump_json()} if initial else {})
            | ({FORM: FUSED} if config.qat else {}),
            job.listener,
        )
        self.state = self._restored() or self._planned()
        self.started = begun - self.state.elapsed_s
        self.saved_at = time.monotonic()
        self.pace = Pace()
        self.smooth_loss: float | None = None

    def run(self) -> TrainRecord:
        """Go from where the state stands to the end."""
        state = self.state
        self.listener.on_train_start(
            self._num_epochs, state.plan.total_steps, len(self.job.dataset.train), len(self.job.dataset.val)
        )
        self._evaluate_if_due()
        while state.step < state.plan.total_steps:
            epoch, within = divmod(state.step, self.steps_per_epoch)
            self._run_epoch(self.loader.epoch(epoch, start_batch=within * self.micro_batches), within)
        self._require_best()
        self._save()
        return self._finish()

    def close(self) -> None:
        """End the loaders' processes."""
        self.loader.close()
        self.val_loader.close()

    def _run_epoch(self, batches: Iterator[Batch], first: int) -> None:
        for _ in range(first, self.steps_per_epoch):
            start = time.perf_counter()
            self._step(batches)
            self.state.busy_s += time.perf_counter() - start
            self.pace.count_step()
            self._keep_to_budget()
            self._evaluate_if_due()
            self._stop_if_asked()
            self._save_if_due()
            if self.state.step >= self.state.plan.total_steps:
                return

    def _step(self, batches: Iterator[Batch]) -> None:
        state, learner = self.state, self.learner
        lr = self.config.lr * state.plan.lr_ratio(state.step, self.config.min_lr_ratio)
        learner.start_step(lr, state.step, state.plan.progress(state.step))
        loss = 0.0
        for micro in range(self.micro_batches):
            waiting = time.perf_counter()
            batch = next(batches)
            state.wait_s += time.perf_counter() - waiting
            part = self.task.loss(learner.model, batch, step=state.step, micro=micro) / self.micro_batches
            loss += part.item()
            self._require_number("loss", loss, lr)
            learner.backward(part)
            state.images += len(batch.targets)
        self._require_number("gradient's norm", learner.gradient_norm(), lr)
        learner.finish_step(state.step)
        state.step += 1
        state.loss_sum += loss
        state.loss_count += 1
        self._tell_step(loss, lr)

    def _require_number(self, what: str, value: float | None, lr: float) -> None:
        if value is None or math.isfinite(value):
            return
        epoch, within = divmod(self.state.step, self.steps_per_epoch)
        raise NonFiniteLossError(
            f"the {what} is {value} at step {self.state.step + 1} (epoch {epoch + 1}, batch {within + 1}, lr {lr:.3g}); "
            f"the step was not taken and the last checkpoint is as it was; try a lower lr or --clip-grad 1"
        )

    def _tell_step(self, loss: float, lr: float) -> None:
        state = self.state
        self.smooth_loss = loss if self.smooth_loss is None else 0.95 * self.smooth_loss + 0.05 * loss
        step_s = (time.monotonic() - self.started) / state.step
        self.listener.on_step(
            StepView(
                step=state.step,
                total_steps=state.plan.total_steps,
                epoch=(state.step - 1) // self.steps_per_epoch + 1,
                num_epochs=self._num_epochs,
                loss=self.smooth_loss,
                lr=lr,
                images_per_s=state.images_per_s,
                data_wait=state.data_wait,
                remaining_s=step_s * (state.plan.total_steps - state.step),
            )
        )

    @property
    def _num_epochs(self) -> int:
        return math.ceil(self.state.plan.total_steps / self.steps_per_epoch)

    # ---- validation

    def _evaluate_if_due(self) -> None:
        state = self.state
        due = state.step == state.plan.total_steps or (state.step > 0 and state.step % state.eval_every_steps == 0)
        if not due or state.evaluated:
            return
        begun = time.monotonic()
        answers = self._answers()
        record = EpochRecord(
            epoch=math.ceil(state.step / self.steps_per_epoch),
            step=state.step,
            elapsed_s=time.monotonic() - self.started,
            lr=self.learner.lr,
            train_loss=state.loss_sum / max(1, state.loss_count),
            val_loss=answers.loss,
            val_top1=answers.top1,
            val_top5=answers.top5,
            images_per_s=state.images_per_s,
            data_wait=state.data_wait,
        )
        is_best = answers.top1 > state.best_top1 and self.files.save_best(self.learner.best_weights, answers, state)
        if is_best:
            state.best_top1, state.best_epoch = answers.top1, record.epoch
        state.records.append(record)
        state.start_window()
        self.files.write(state)
        state.eval_s = time.monotonic() - begun
        self.pace.leave_out(state.eval_s)
        self.listener.on_epoch(record, is_best)

    def _answers(self) -> EvalRecord:
        """Return the present weights' answers; weights that answer NaN are never kept."""
        answers = self.task.evaluate(self.learner.best_form, self.val_loader)
        if not math.isfinite(answers.loss):
            raise NonFiniteLossError(
                f"the validation loss is {answers.loss} after step {self.state.step}; these weights were not saved; "
                f"try a lower lr or --clip-grad 1"
            )
        return answers

    def _require_best(self) -> None:
        """Keep the last weights where the disk refused those of every validation."""
        state = self.state
        if state.best_epoch:
            return
        answers = self._answers()
        if not self.files.save_best(self.learner.best_weights, answers, state):
            self._save()
            raise OutputError(
                f"{shown(self.job.folder.best)} could not be written; free some space, then go on with: "
                f"{self.job.resume_command}"
            )
        state.best_top1, state.best_epoch = answers.top1, state.records[-1].epoch

    # ---- checkpoints

    def _save_if_due(self) -> None:
        every = self.config.save_every_steps
        by_steps = every is not None and self.state.step % every == 0
        if by_steps or time.monotonic() - self.saved_at >= self.config.save_every_s:
            self._save()

    def _save(self) -> bool:
        begun = time.monotonic()
        self.state.elapsed_s = begun - self.started
        tensors, plain = self.learner.state()
        result = self.store.save(self.state.step, tensors, plain | {"loop": self.state.model_dump(mode="json")})
        self.saved_at = time.monotonic()
        if result.reason:
            self.listener.on_message(result.reason)
        if result.ok:
            self.listener.on_save(self.state.step, self.saved_at - begun)
        return result.ok

    def _restored(self) -> LoopState | None:
        found = self.store.load_latest()
        if found is None:
            return None
        for line in found.skipped:
            self.listener.on_message(line)
        where = f"the checkpoint of step {found.step}"
        self.learner.load_state(found.tensors, found.state, where)
        try:
            state = LoopState.model_validate(found.state["loop"])
        except ValidationError as error:
            raise CheckpointError(f"{where} is of another version of Edgewise") from error
        state.resumed += 1
        self.listener.on_message(f"resumed at step {state.step} of {state.plan.total_steps}")
        return state

    def _stop_if_asked(self) -> None:
        if self.stop.signal is None:
            return
        saved = f"saved at step {self.state.step}"
        what = saved if self._save() else "the state could not be saved; an older checkpoint is there"
        raise Interrupted(
            f"stopped by {self.stop.signal.name}, {what}; go on with: {self.job.resume_command}", self.stop.exit_code
        )

    # ---- planning

    def _planned(self) -> LoopState:
        config = self.config
        if config.time_budget_s is None:
            plan, _ = first_plan(config, self.steps_per_epoch)
            return LoopState(plan=plan, eval_every_steps=config.eval_every * self.steps_per_epoch)
        begun = time.monotonic()
        step_s = measure_step_s(self.learner.model, self.task, self.loader.epoch(0), config, self.micro_batches)
        eval_s = measure_eval_s(self.learner.best_form, len(self.job.dataset.val), config)
        left_s = config.time_budget_s - (time.monotonic() - begun)
        plan, eval_every = first_plan(config, self.steps_per_epoch, left_s=left_s, step_s=step_s, eval_s=eval_s)
        return LoopState(plan=plan, eval_every_steps=eval_every * self.steps_per_epoch, eval_s=eval_s)

    def _keep_to_budget(self) -> None:
        """Re-plan where the clock says that the run will end too late, or has time for over 3 % more steps."""
        state, budget = self.state, self.config.time_budget_s
        every = max(1, state.plan.total_steps // 40)
        if budget is None or state.step % every or state.step >= state.plan.total_steps:
            return
        wanted = self._affordable_total(MARGIN * budget)
        too_late = self._affordable_total(LATEST * budget) < state.plan.total_steps
        if too_late or wanted > 1.03 * state.plan.total_steps:
            state.plan = state.plan.replanned(state.step, wanted)

    def _affordable_total(self, until_s: float) -> int:
        state = self.state
        left = until_s - (time.monotonic() - self.started)
        more = steps_within(left, self.pace.step_s, state.eval_s, state.eval_every_steps)
        total = min(self.config.epochs * self.steps_per_epoch, state.step + more)
        return max(state.step, whole_epochs(total, self.steps_per_epoch))

    def _finish(self) -> TrainRecord:
        state = self.state
        self.files.finish(state)
        record = TrainRecord(
            epochs=tuple(state.records),
            best_epoch=state.best_epoch,
            best_top1=state.best_top1,
            train_s=time.monotonic() - self.started,
            num_train_images=len(self.job.dataset.train),
            num_val_images=len(self.job.dataset.val),
            peak_rss_bytes=peak_rss_bytes(),
            resumed=state.resumed,
        )
        record.save(self.job.folder.train_record)
        return record

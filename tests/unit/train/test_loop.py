import errno
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny_run import config, dataset, job, outcome, spec
from torch import nn

from edgewise.data.augment import AugmentConfig
from edgewise.data.loader import Batch
from edgewise.errors import CheckpointError, NonFiniteLossError, OutputError
from edgewise.report import tables
from edgewise.train import budget, checkpoint_folder, loop, outcome_files
from edgewise.train.checkpoint import CheckpointStore, SaveResult
from edgewise.train.listener import Listener
from edgewise.train.loop import train
from edgewise.train.task import Classification

NUM_STEPS = 9


class Stopped(Exception):
    pass


class Watch(Listener):
    """Remembers what was said; raises after a given step."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.messages: list[str] = []
        self.steps: list[int] = []
        self.lrs: list[float] = []
        self.totals: list[int] = []

    def on_step(self, view):
        self.steps.append(view.step)
        self.lrs.append(view.lr)
        self.totals.append(view.total_steps)
        if view.step == self.stop_after:
            raise Stopped

    def on_message(self, text):
        self.messages.append(text)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("whole") / "run"
    train(job(path))
    return outcome(path)


@pytest.mark.parametrize("workers", [0, 2])
def test_stopped_after_every_single_step_the_run_ends_in_the_same_bits(tmp_path, whole, workers):
    """Nine processes' worth of resumes, one after each step, each from the checkpoint of the step before."""
    path = tmp_path / "run"
    for step in range(2, NUM_STEPS + 1):
        watch = Watch(stop_after=step)
        with pytest.raises(Stopped):
            train(job(path, listener=watch, save_every_steps=1, workers=workers))
        assert watch.steps[0] == max(1, step - 1)
    record = train(job(path, workers=workers, save_every_steps=1))
    assert outcome(path) == whole
    assert record.resumed == NUM_STEPS - 1


@pytest.mark.parametrize("stop_after", [4, 7])
def test_a_resume_goes_back_to_the_last_checkpoint_and_says_so(tmp_path, whole, stop_after):
    with pytest.raises(Stopped):
        train(job(tmp_path / "run", listener=Watch(stop_after)))
    watch = Watch()
    train(job(tmp_path / "run", listener=watch))
    saved = stop_after // 3 * 3
    assert watch.steps == list(range(saved + 1, NUM_STEPS + 1))
    assert watch.messages == [f"resumed at step {saved} of {NUM_STEPS}"]
    assert outcome(tmp_path / "run") == whole


def test_a_finished_run_that_is_resumed_stays_as_it_is(tmp_path, whole):
    train(job(tmp_path / "run"))
    watch = Watch()
    train(job(tmp_path / "run", listener=watch))
    assert watch.steps == []
    assert outcome(tmp_path / "run") == whole


@pytest.mark.parametrize("changed", [{"seed": 6}, {"drop_rate": 0.0}, {"drop_path_rate": 0.0}, {"ema_decay": 0.2}])
def test_the_comparison_sees_each_feature(tmp_path, whole, changed):
    train(job(tmp_path / "run", **changed))
    assert outcome(tmp_path / "run")["ema"] != whole["ema"]


def test_every_epoch_trains_on_an_exact_permutation_across_a_resume(tmp_path, monkeypatch):
    seen: dict[tuple[int, int], list[int]] = {}
    inner = Classification.loss

    def loss(self, model, batch, *, step, micro):
        seen.setdefault((step, micro), []).append(tuple(batch.positions.tolist()))
        return inner(self, model, batch, step=step, micro=micro)

    monkeypatch.setattr(Classification, "loss", loss)
    with pytest.raises(Stopped):
        train(job(tmp_path / "run", listener=Watch(stop_after=5), save_every_steps=2))
    train(job(tmp_path / "run", save_every_steps=2))
    assert len(seen[4, 0]) == 2, "the fifth step was done twice"
    for epoch in range(3):
        places = Counter(p for step in range(3 * epoch, 3 * epoch + 3) for m in (0, 1) for p in seen[step, m][0])
        assert places == Counter(range(24))
    assert all(len(set(again)) == 1 for again in seen.values())


# ---- numbers that are none


def bad_from(monkeypatch, step_from: int, spoil) -> None:
    inner = Classification.loss

    def loss(self, model, batch, *, step, micro):
        value = inner(self, model, batch, step=step, micro=micro)
        return spoil(model, value) if step >= step_from else value

    monkeypatch.setattr(Classification, "loss", loss)


class _InfiniteGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * math.inf


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda _, value: value * math.nan, "the loss is nan at step 8 (epoch 3, batch 2, lr "),
        (lambda _, value: value + math.inf, "the loss is inf at step 8 (epoch 3, batch 2, lr "),
        (lambda _, value: _InfiniteGradient.apply(value), "the gradient's norm is "),
    ],
)
@pytest.mark.parametrize("clip_grad", [None, 1.0])
def test_a_step_that_is_no_number_stops_the_run_and_is_kept_nowhere(tmp_path, monkeypatch, spoil, text, clip_grad):
    path = tmp_path / "run"
    with pytest.raises(Stopped):
        train(job(path, listener=Watch(stop_after=7), clip_grad=clip_grad))
    before = outcome(path)
    bad_from(monkeypatch, 7, spoil)
    with pytest.raises(NonFiniteLossError) as caught:
        train(job(path, clip_grad=clip_grad, save_every_steps=1))
    assert str(caught.value).startswith(text)
    assert "at step 8 (epoch 3, batch 2, lr " in str(caught.value)
    assert caught.value.exit_code == 1
    after = outcome(path)
    assert after.pop("step") == "step-000007"
    assert {key: after[key] for key in ("best", "results.csv", "eval")} == {
        key: before[key] for key in ("best", "results.csv", "eval")
    }
    assert all(t.isfinite().all() for t in CheckpointStore(path / "weights/last").load_latest().tensors.values())


def test_a_learning_rate_far_too_high_is_found_out_within_two_steps(tmp_path):
    with pytest.raises(NonFiniteLossError, match=r"at step [23] \(epoch 1, batch [23], lr .*e\+3"):
        train(job(tmp_path / "run", lr=1e38, weight_decay=0, clip_grad=None))
    assert not (tmp_path / "run/weights/best.safetensors").exists()


def test_weights_whose_validation_is_no_number_are_never_the_best(tmp_path, monkeypatch):
    inner = Classification.evaluate
    monkeypatch.setattr(
        Classification,
        "evaluate",
        lambda *args: inner(*args).model_copy(update={"loss": math.nan, "top1": 1.0}),
    )
    with pytest.raises(
        NonFiniteLossError, match="the validation loss is nan after step 3; these weights were not saved"
    ):
        train(job(tmp_path / "run"))
    assert not (tmp_path / "run/weights/best.safetensors").exists()
    assert not (tmp_path / "run/weights/last").exists()


# ---- a full disk


def full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


class FullFrom:
    """Lets calls through, but for some that find the disk full."""

    def __init__(self, inner, calls: set[int]) -> None:
        self.inner, self.calls, self.count = inner, calls, 0

    def __call__(self, *args, **kwargs):
        self.count += 1
        return full() if self.count in self.calls else self.inner(*args, **kwargs)


def test_a_disk_full_in_mid_checkpoint_lets_training_go_on_with_the_older_one_whole(tmp_path, monkeypatch, whole):
    writes = FullFrom(checkpoint_folder.write_tensors, {2})
    monkeypatch.setattr(checkpoint_folder, "write_tensors", writes)
    watch = Watch(stop_after=7)
    with pytest.raises(Stopped):
        train(job(tmp_path / "run", listener=watch))
    assert writes.count == 2
    assert len(watch.messages) == 1
    assert "the checkpoint of step 6 was not saved: No space left on device; it needs " in watch.messages[0]
    assert [each.name for each in (tmp_path / "run/weights/last").iterdir()] == ["step-000003"]
    train(job(tmp_path / "run"))
    assert outcome(tmp_path / "run") == whole


def test_a_table_that_cannot_be_written_is_told_and_written_later(tmp_path, monkeypatch, whole):
    monkeypatch.setattr(outcome_files, "write_results_csv", FullFrom(tables.write_results_csv, {1, 3}))
    watch = Watch()
    train(job(tmp_path / "run", listener=watch))
    text = "results.csv was not written: No space left on device; training goes on"
    assert watch.messages == [text, text]
    assert outcome(tmp_path / "run") == whole


@pytest.mark.parametrize(("stop_after", "failing"), [(None, {1}), (None, {1, 2, 3}), (7, {1, 2, 3})])
def test_answers_that_cannot_be_written_are_written_later_even_by_another_process(
    tmp_path, monkeypatch, whole, stop_after, failing
):
    record = outcome_files.EvalRecord
    inner = record.save
    calls = FullFrom(inner, failing)
    monkeypatch.setattr(record, "save", lambda answers, path: calls(answers, path))  # noqa: PLW0108 - a method
    watch = Watch(stop_after)
    if stop_after:
        with pytest.raises(Stopped):
            train(job(tmp_path / "run", listener=watch))
        assert not (tmp_path / "run/eval.json").exists()
        monkeypatch.setattr(record, "save", inner)
        train(job(tmp_path / "run"))
    else:
        train(job(tmp_path / "run", listener=watch))
    assert "eval.json was not written: No space left on device; training goes on" in watch.messages
    assert outcome(tmp_path / "run") == whole


def refuse_weights(monkeypatch, calls: set[int]) -> None:
    inner, count = outcome_files.save_weights, Counter()

    def save(path, *args):
        count["calls"] += 1
        if count["calls"] in calls:
            return SaveResult(ok=False, path=None, bytes_needed=9, reason="best.safetensors was not saved")
        return inner(path, *args)

    monkeypatch.setattr(outcome_files, "save_weights", save)


def test_best_weights_that_cannot_be_saved_are_not_called_the_best(tmp_path, monkeypatch):
    refuse_weights(monkeypatch, {1})
    watch = Watch()
    record = train(job(tmp_path / "run", listener=watch))
    assert watch.messages == ["best.safetensors was not saved"]
    assert record.best_epoch == 2
    assert (tmp_path / "run/weights/best.safetensors").exists()


def test_weights_that_were_refused_each_time_are_saved_by_a_later_resume(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        refuse_weights(patched, set(range(1, 100)))
        with pytest.raises(
            OutputError, match=r"could not be written; free some space, then go on with: edgewise train"
        ):
            train(job(tmp_path / "run"))
    assert train(job(tmp_path / "run")).best_epoch == 3
    assert (tmp_path / "run/weights/best.safetensors").exists()


# ---- checkpoints that do not fit


def test_a_damaged_newest_checkpoint_is_passed_over_aloud(tmp_path, whole):
    with pytest.raises(Stopped):
        train(job(tmp_path / "run", listener=Watch(stop_after=7)))
    newest = tmp_path / "run/weights/last/step-000006/tensors.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    watch = Watch()
    train(job(tmp_path / "run", listener=watch))
    assert "step-000006' is damaged and passed over: tensors.safetensors is " in watch.messages[0]
    assert watch.messages[1] == "resumed at step 3 of 9"
    assert outcome(tmp_path / "run") == whole


def test_only_damaged_checkpoints_are_an_error_and_are_left_alone(tmp_path):
    with pytest.raises(Stopped):
        train(job(tmp_path / "run", listener=Watch(stop_after=7)))
    for state in (tmp_path / "run/weights/last").glob("*/state.json"):
        state.write_bytes(b"{}")
    with pytest.raises(
        CheckpointError, match=r"holds no whole checkpoint; start a new run: .*step-000006.*step-000003"
    ):
        train(job(tmp_path / "run"))
    assert len(list((tmp_path / "run/weights/last").glob("*/state.json"))) == 2


@pytest.mark.parametrize(
    "changed", [{"spec": spec(num_classes=5)}, {"spec": spec().model_copy(update={"in_chans": 4})}]
)
def test_the_checkpoint_of_another_model_is_refused(tmp_path, changed):
    with pytest.raises(Stopped):
        train(job(tmp_path / "run", listener=Watch(stop_after=4)))
    with pytest.raises(CheckpointError, match=r"the checkpoint of step 3 is of another model: .*size mismatch"):
        train(job(tmp_path / "run", **changed))


def test_a_state_of_another_version_is_refused(tmp_path):
    with pytest.raises(Stopped):
        train(job(tmp_path / "run", listener=Watch(stop_after=4)))
    store = CheckpointStore(tmp_path / "run/weights/last")
    found = store.load_latest()
    store.save(4, found.tensors, found.state | {"loop": {"plan": None}})
    with pytest.raises(CheckpointError, match="the checkpoint of step 4 is of another version of Edgewise"):
        train(job(tmp_path / "run"))


# ---- accumulation


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 16 * 16, 3)

    def forward(self, images):
        return self.head(images.flatten(1))


def test_two_batches_of_four_make_the_step_of_one_of_eight(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "start_network", lambda *_: (Plain(), None))
    quiet = AugmentConfig(randaug_layers=0)
    ends = {}
    for batch, accumulate in ((8, 1), (4, 2), (4, 1)):
        path = tmp_path / f"{batch}x{accumulate}"
        train(job(path, batch=batch, accumulate=accumulate, augment=quiet, epochs=2))
        found = CheckpointStore(path / "weights/last").load_latest()
        ends[batch, accumulate] = found.step, found.tensors["model.head.weight"]
    assert ends[8, 1][0] == ends[4, 2][0] == 6
    torch.testing.assert_close(ends[4, 2][1], ends[8, 1][1], rtol=1e-4, atol=1e-6)
    assert not torch.allclose(ends[4, 1][1], ends[8, 1][1], rtol=1e-2)


def test_label_smoothing_spreads_its_share_over_all_classes():
    logits = torch.tensor([[2.0, -1.0, 0.5]])
    task = Classification(config(label_smoothing=0.3, augment=AugmentConfig()), ("a", "b", "c"))
    batch = Batch(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.tensor([0]), torch.tensor([0]))
    log = logits.log_softmax(1)[0]
    expected = -(0.8 * log[0] + 0.1 * log[1] + 0.1 * log[2])

    class Fixed(nn.Module):
        def forward(self, images):
            return logits

    assert task.loss(Fixed(), batch, step=0, micro=0).item() == pytest.approx(expected.item(), rel=1e-6)


# ---- a time budget, on a clock of our own


class Clock:
    """Time passes only in steps and validations."""

    def __init__(self, monkeypatch, step_s, eval_s: float) -> None:
        self.now = 1000.0
        fake = SimpleNamespace(monotonic=lambda: self.now, perf_counter=lambda: self.now)
        monkeypatch.setattr(loop, "time", fake)
        monkeypatch.setattr(budget, "time", fake)
        monkeypatch.setattr(loop, "measure_eval_s", lambda *_: eval_s / 4)
        evaluate = Classification.evaluate

        def loss(task, model, batch, *, step, micro):
            self.now += step_s(self.now - 1000.0)
            return sum(p.sum() for p in model.parameters()) * 0.0

        def timed_evaluate(*args):
            self.now += eval_s
            return evaluate(*args)

        monkeypatch.setattr(Classification, "loss", loss)
        monkeypatch.setattr(Classification, "evaluate", timed_evaluate)
        monkeypatch.setattr(loop, "start_network", lambda *_: (Plain(), None))


@pytest.mark.parametrize(
    ("step_s", "eval_s", "least"),
    [
        (lambda _: 0.5, 0.0, 0.93),
        (lambda _: 0.5, 8.0, 0.8),  # a validation costs more than the slack
        (lambda now: 0.5 if now < 50 else 1.5, 1.0, 0.85),  # the machine becomes slower
        (lambda now: 1.5 if now < 30 else 0.5, 1.0, 0.85),  # or faster
        (lambda now: 0.5 if now < 85 else 2.0, 0.5, 0.85),  # or slower near the end
    ],
)
def test_a_run_ends_inside_its_time_budget_and_uses_it(tmp_path, monkeypatch, step_s, eval_s, least):
    clock = Clock(monkeypatch, step_s, eval_s)
    watch = Watch()
    quick = {"ema_decay": None, "augment": AugmentConfig(randaug_layers=0), "accumulate": 1, "save_every_steps": None}
    record = train(job(tmp_path / "run", listener=watch, time_budget_s=100.0, epochs=1000, **quick))
    assert least * 100 <= clock.now - 1000 <= 100
    assert record.train_s <= 100
    assert record.epochs[-1].step == watch.steps[-1] <= watch.totals[-1]
    assert watch.lrs[-1] < 0.15 * max(watch.lrs), "the cosine came to its end"


def test_a_steady_machine_is_not_planned_anew(tmp_path, monkeypatch):
    Clock(monkeypatch, lambda _: 0.5, 0.0)
    watch = Watch()
    train(job(tmp_path / "run", listener=watch, time_budget_s=60.0, epochs=1000, ema_decay=None, accumulate=1))
    assert len(set(watch.totals)) == 1


def test_fewer_epochs_than_the_budget_allows_stay_as_asked(tmp_path, monkeypatch):
    Clock(monkeypatch, lambda _: 0.01, 0.0)
    record = train(job(tmp_path / "run", time_budget_s=1000.0, epochs=2, ema_decay=None))
    assert record.epochs[-1].step == 6


def test_a_budget_with_workers_leaves_the_trial_steps_behind(tmp_path):
    record = train(job(tmp_path / "run", time_budget_s=60.0, epochs=1, workers=1, dataset=replace(dataset())))
    assert record.epochs[-1].step == 3
    assert Path(tmp_path / "run/train.json").is_file()

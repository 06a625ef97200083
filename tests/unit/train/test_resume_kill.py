"""SIGKILL at any moment, then resume: the run must end with the bits of one that was never stopped.

A server process imports everything once and forks each run, so that a kill costs a second and no import of torch.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tiny_run import outcome, write_images

SEED = 20260726
NUM_KILLS = 6
HERE = Path(__file__).parent

SERVER = """
import os, signal, sys, time
from pathlib import Path

sys.path.insert(0, sys.argv[1])
import torch
import tiny_run
from edgewise.data.dataset import open_dataset
from edgewise.pipeline import training
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.training import resume, start
from edgewise.records.run import Job
from edgewise.train import checkpoint, loop, outcome_files, task
from edgewise.train.run_folder import RunFolder

torch.set_num_threads(1)
# pictures take half of such a short run, and are not what is killed here
training.plot_curves = training.plot_confusion = training.contact_sheet = lambda *_: None
DATA = Path(sys.argv[2])


class Watch(JobListener):
    # writes what happens as it happens, so that a kill cannot lose it
    def __init__(self, path, die_at):
        self.die_at = die_at
        self.lines = 0
        self.log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(self, text):
        os.write(self.log, (text + "\\n").encode())
        self.lines += 1
        if self.lines == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_stage(self, text):
        self.say("stage")

    def on_step(self, view):
        self.say(f"step {view.step}")


def watched(name, inner, watch):
    def call(*args, **kwargs):
        watch.say(f"begin {name}")
        try:
            return inner(*args, **kwargs)
        finally:
            watch.say(f"end {name}")
    return call


def run(path, die_at):
    folder = RunFolder(path)
    watch = Watch(f"{path}.log", die_at)
    watch.say("new process")
    checkpoint.CheckpointStore.save = watched("save", checkpoint.CheckpointStore.save, watch)
    outcome_files.save_weights = watched("weights", outcome_files.save_weights, watch)
    task.Classification.evaluate = watched("validation", task.Classification.evaluate, watch)
    os.fsync = watched("fsync", os.fsync, watch)
    inner = task.Classification.loss

    def loss(self, model, batch, *, step, micro):
        watch.say("samples {} {} {}".format(step, micro, ",".join(map(str, batch.positions.tolist()))))
        return inner(self, model, batch, step=step, micro=micro)

    task.Classification.loss = loss
    if all(p.is_file() for p in (folder.config, folder.job, folder.model_spec, folder.data_summary)):
        resume(path, watch)
        return
    if path.exists():
        import shutil
        shutil.rmtree(path)
    job = Job(kind="train", data=str(DATA), val_share=0.2, split_seed=0, command="test", created_at="now")
    start(folder, job, tiny_run.config(epochs=4, lr=2e-2, save_every_steps=2, eval_every=1), open_dataset(DATA), watch)


print("ready", flush=True)
for line in sys.stdin:
    path, after, die_at = line.rstrip("\\n").rsplit(" ", 2)
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            run(Path(path), int(die_at))
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if float(after) >= 0:
        time.sleep(float(after))
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, time.monotonic() - begun, flush=True)
"""


class Server:
    def __init__(self, folder: Path, data: Path) -> None:
        script = folder / "server.py"
        script.write_text(SERVER)
        command = [sys.executable, str(script), str(HERE), str(data)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def run(self, path: Path, kill_after_s: float = -1, die_at: int = -1) -> tuple[int, float]:
        """Start or resume the run at ``path``, kill it after a while or at a line of its log.

        Returns:
            The exit code, and how many seconds the process lived.
        """
        self.process.stdin.write(f"{path} {kill_after_s} {die_at}\n")
        self.process.stdin.flush()
        status, seconds = self.process.stdout.readline().split()
        return int(status), float(seconds)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill")
    server = Server(folder, write_images(folder / "data"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def whole(server, tmp_path_factory):
    """A run that nobody stopped: its results, seconds and folder."""
    path = tmp_path_factory.mktemp("whole") / "run"
    server.run(path.with_name("warm-up"))
    status, seconds = server.run(path)
    assert status == 0
    return outcome(path), seconds, path


def finished(server: Server, path: Path) -> dict[str, str]:
    status, _ = server.run(path)
    assert status == 0
    return outcome(path)


def leftovers(path: Path) -> list[str]:
    return [each.name for each in path.rglob("*") if ".partial" in each.name or each.name.endswith(".tmp")]


def log_of(path: Path) -> list[str]:
    return Path(f"{path}.log").read_text().splitlines()


def assert_each_epoch_is_a_permutation(path: Path, steps_per_epoch: int = 3, micro: int = 2, batch: int = 4) -> None:
    """Over all processes, each step saw exactly its own places of the epoch's order, the same ones each time."""
    seen: dict[tuple[int, int], set[str]] = {}
    for line in log_of(path):
        if line.startswith("samples "):
            _, step, part, positions = line.split()
            seen.setdefault((int(step), int(part)), set()).add(positions)
    assert sorted(seen) == [(step, part) for step in range(12) for part in range(micro)]
    for epoch in range(4):
        places: Counter[int] = Counter()
        for step in range(epoch * steps_per_epoch, (epoch + 1) * steps_per_epoch):
            for part in range(micro):
                (only,) = seen[step, part]
                places.update(map(int, only.split(",")))
        assert places == Counter(range(steps_per_epoch * micro * batch))


def test_two_whole_runs_are_equal_so_that_the_comparison_means_something(server, whole, tmp_path):
    assert finished(server, tmp_path / "run") == whole[0]
    assert {"best", "model", "ema", "optimizer", "results.csv"} <= whole[0].keys()
    assert whole[0]["step"] == "step-000012"
    assert_each_epoch_is_a_permutation(tmp_path / "run")


def kill_moments(seconds: float) -> list[float]:
    moments = random.Random(SEED)
    # one in each sixth, so that start-up, steps, saves and validations are all met
    return [seconds * (index + moments.random()) / NUM_KILLS for index in range(NUM_KILLS)]


def test_a_single_kill_at_any_moment_changes_no_bit(server, whole, tmp_path):
    expected, seconds, _ = whole
    met: list[str] = []
    for index, moment in enumerate(kill_moments(seconds)):
        path = tmp_path / f"run{index}"
        status, _ = server.run(path, moment)
        met.append(
            f"{moment:.3f} s of {seconds:.3f} s, after {log_of(path)[-1]!r}" if Path(f"{path}.log").exists() else ""
        )
        assert finished(server, path) == expected, f"seed {SEED}, killed at {met[-1]} with exit code {status}"
        assert leftovers(path) == []
        assert_each_epoch_is_a_permutation(path)
    sys.stdout.write("\n  ".join([f"seed {SEED}; killed at:", *met]) + "\n")


def test_kills_in_a_row_change_no_bit_and_leave_nothing(server, whole, tmp_path):
    expected, seconds, _ = whole
    moments = random.Random(SEED + 1)
    path = tmp_path / "run"
    lived = [server.run(path, moments.uniform(0.3, 0.7) * seconds)[0] for _ in range(5)]
    assert lived.count(-9) >= 3, f"seed {SEED}: {lived}"
    assert finished(server, path) == expected, f"seed {SEED}"
    assert leftovers(path) == []
    assert len(list((path / "weights/last").iterdir())) == 2
    assert_each_epoch_is_a_permutation(path)


# of the first, second… save of a run: each file, the folder, the rename's folder; then the manifest's read-back
MOMENTS = [
    ("begin save", 2, 0),
    ("begin save", 3, 6),
    ("begin weights", 1, 1),
    ("end weights", 1, 2),
    ("begin validation", 2, 0),
    ("end validation", 2, 0),
]


@pytest.mark.parametrize(("event", "occurrence", "lines_later"), MOMENTS)
def test_a_kill_inside_a_save_or_validation_changes_no_bit(server, whole, tmp_path, event, occurrence, lines_later):
    """Random moments rarely fall into a write; the log of the whole run says where one is."""
    expected, _, reference = whole
    lines = log_of(reference)
    at = [number for number, line in enumerate(lines, 1) if line == event][occurrence - 1] + lines_later
    path = tmp_path / "run"
    assert server.run(path, die_at=at)[0] == -9
    assert log_of(path) == lines[:at]
    assert finished(server, path) == expected
    assert leftovers(path) == []

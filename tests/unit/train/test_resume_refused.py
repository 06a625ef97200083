"""Resuming with other settings, classes or images, or beside another process."""

import shutil

import pytest
from tiny_run import config, outcome, png, write_images

from edgewise.data.dataset import open_dataset
from edgewise.errors import OutputError, ResumeMismatchError
from edgewise.pipeline import training
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.training import resume, start
from edgewise.records.run import Job
from edgewise.train.run_folder import RunFolder
from edgewise.train.run_lock import RunLock


class Stopped(Exception):
    pass


class StopAfterFour(JobListener):
    def on_step(self, view):
        if view.step == 4:
            raise Stopped


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """A run of nine steps that was stopped after its fourth, and its data set."""
    for name in ("plot_curves", "plot_confusion", "contact_sheet"):
        monkeypatch.setattr(training, name, lambda *_: None)
    data, folder = write_images(tmp_path / "data"), RunFolder(tmp_path / "run")
    job = Job(kind="train", data=str(data), val_share=0.2, split_seed=0, command="test", created_at="now")
    with pytest.raises(Stopped):
        start(folder, job, config(), open_dataset(data), StopAfterFour())
    return folder.path, data


def refused(path, **arguments) -> str:
    before = {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}
    with pytest.raises(ResumeMismatchError) as caught:
        resume(path, JobListener(), **arguments)
    after = {each: each.read_bytes() for each in path.rglob("*") if each.is_file()}
    assert after == before
    assert caught.value.exit_code == 2
    return str(caught.value).removeprefix(f"'{path}'").lstrip(": ")


def test_other_settings_are_refused_each_by_its_name(stopped):
    path, _ = stopped
    assert refused(path, config=config(lr=1e-3, seed=6, workers=1)) == (
        "was started with other settings: lr: 0.003 -> 0.001; seed: 5 -> 6; resume without them, or start a new run"
    )


def test_other_classes_are_refused_with_the_difference(stopped):
    path, data = stopped
    for side in ("train", "val"):
        (data / side / "red").rename(data / side / "violet")
    assert refused(path) == (
        "classes differ: missing ['red'], new ['violet']; resume with the data set that the run began with"
    )


def test_other_images_are_refused_with_their_numbers(stopped):
    path, data = stopped
    (data / "train/red/new.png").write_bytes(png(2, 77))
    assert refused(path) == (
        "the images are not those that the run began with (27+12 images then, 28+12 now); "
        "restore them, or start a new run"
    )
    (data / "train/red/new.png").unlink()
    (data / "train/red/3.png").rename(data / "train/red/renamed.png")
    assert "(27+12 images then, 27+12 now)" in refused(path)


def test_another_process_in_the_folder_is_refused_before_anything_is_read(stopped):
    path, data = stopped
    shutil.rmtree(data)
    with RunLock(path), pytest.raises(OutputError, match="is in use by process"):
        resume(path, JobListener())


def test_a_data_set_that_was_moved_is_found_where_the_person_says(stopped, tmp_path):
    path, data = stopped
    data.rename(tmp_path / "moved")
    _, _, _, record = resume(path, JobListener(), data=str(tmp_path / "moved"), config=config(workers=1))
    assert record.epochs[-1].step == 9
    assert outcome(path)["step"] == "step-000009"

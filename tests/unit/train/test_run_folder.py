import os

import pytest

from edgewise.errors import OutputError
from edgewise.train.run_folder import RunFolder, new_run_folder, open_run_folder


def test_runs_are_numbered_and_nothing_is_made_before_it_is_asked_for(tmp_path):
    project = tmp_path / "runs"
    paths = []
    for _ in range(3):
        folder = new_run_folder(project, "train")
        assert not folder.path.exists()
        folder.create()
        paths.append(folder.path.name)
    assert paths == ["train", "train2", "train3"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", ".hidden", "a b", "ü", "x" * 101, "x\n"])
def test_a_name_that_is_no_plain_one_is_refused(tmp_path, name):
    with pytest.raises(OutputError, match=r"is not accepted; use letters, digits, '\.', '_' and '-', at most 100"):
        new_run_folder(tmp_path, name)


def test_a_folder_that_another_process_made_meanwhile_is_left_alone(tmp_path):
    one, other = new_run_folder(tmp_path, "train"), new_run_folder(tmp_path, "train")
    one.create()
    one.best.write_bytes(b"mine")
    with pytest.raises(OutputError, match="train' holds another run; choose a new name or resume it"):
        other.create()
    assert one.best.read_bytes() == b"mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_place_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="is read-only; give --project another folder"):
        new_run_folder(tmp_path, "train")


def test_a_place_that_is_a_file_or_a_run_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file' is a file; give --project a folder"):
        new_run_folder(tmp_path / "file" / "runs", "train")
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(OutputError, match="holds a run itself; give --project the folder that is to hold all runs"):
        new_run_folder(tmp_path, "train")


def test_a_folder_without_a_run_cannot_be_opened(tmp_path):
    with pytest.raises(OutputError, match=r"holds no run \(config.yaml, job.json, model.json, data.json missing\)"):
        open_run_folder(tmp_path)
    for name in ("config.yaml", "job.json", "model.json", "data.json"):
        (tmp_path / name).write_text("")
    assert open_run_folder(tmp_path) == RunFolder(tmp_path)


def test_leftovers_of_a_killed_process_go_and_everything_else_stays(tmp_path):
    for name in (".eval.json.x1y2z3.tmp", ".lock", "notes.tmp", "eval.json"):
        (tmp_path / name).write_text("")
    RunFolder(tmp_path).remove_leftovers()
    assert sorted(each.name for each in tmp_path.iterdir()) == [".lock", "eval.json", "notes.tmp"]

import json
import os

import pytest

from edgewise.bench.cache import LatencyCache, LatencyKey, default_path


def key(**changes):
    given = {"runtime": "onnxruntime", "runtime_version": "1", "threads": 1, "spec_sha256": "a", "img_size": 224}
    return LatencyKey.here(**{**given, "precision": "fp32", **changes})


def test_what_was_put_is_there_in_the_next_process(tmp_path):
    path = tmp_path / "deep" / "latency.json"
    assert LatencyCache(path).put(key(), 4.5)
    cache = LatencyCache(path)
    assert (cache.get(key()), cache.was_damaged) == (4.5, False)
    assert [file.name for file in path.parent.iterdir()] == ["latency.json"]


@pytest.mark.parametrize(
    "changes",
    [
        {"runtime": "torch"},
        {"runtime_version": "2"},
        {"threads": 2},
        {"spec_sha256": "b"},
        {"img_size": 192},
        {"precision": "int8"},
    ],
)
def test_another_case_is_another_entry(tmp_path, changes):
    cache = LatencyCache(tmp_path / "c.json")
    cache.put(key(), 4.5)
    assert cache.get(key(**changes)) is None


def test_the_key_names_machine_and_version():
    assert {"cpu", "num_cores", "edgewise_version"} < set(json.loads(key().text()))
    assert key().cpu
    assert key().edgewise_version


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"format": 1}', b'{"format": 2, "latencies_ms": {}}',
        b'{"format": 1, "latencies_ms": {"a": "fast"}}', b'{"format": 1, "latencies_ms": {"a": NaN}}',
        b'{"format": 1, "latencies_ms": {"a": -1}}', b"[" * 200_000,
    ],
)  # fmt: skip
def test_a_damaged_file_counts_as_empty_and_is_rewritten(tmp_path, content):
    path = tmp_path / "c.json"
    path.write_bytes(content)
    cache = LatencyCache(path)
    assert (cache.get(key()), cache.was_damaged) == (None, True)
    assert cache.put(key(), 2.0)
    assert (LatencyCache(path).get(key()), LatencyCache(path).was_damaged) == (2.0, False)


def test_entries_of_another_process_are_kept(tmp_path):
    path = tmp_path / "c.json"
    first, second = LatencyCache(path), LatencyCache(path)
    first.put(key(threads=1), 1.0)
    second.put(key(threads=2), 2.0)
    assert [LatencyCache(path).get(key(threads=n)) for n in (1, 2)] == [1.0, 2.0]


def test_a_place_that_cannot_be_written_is_told_by_false(tmp_path):
    (tmp_path / "file").write_text("")
    cache = LatencyCache(tmp_path / "file" / "c.json")
    assert not cache.put(key(), 3.0)
    assert cache.get(key()) == 3.0


def test_the_place_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("EDGEWISE_CACHE", str(tmp_path / "own"))
    assert default_path() == tmp_path / "own" / "latency.json"
    monkeypatch.delenv("EDGEWISE_CACHE")
    assert default_path() == tmp_path / "xdg" / "edgewise" / "latency.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    if os.name == "posix":
        assert default_path() == tmp_path / ".cache" / "edgewise" / "latency.json"

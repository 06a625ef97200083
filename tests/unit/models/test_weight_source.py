from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
from hub_cache import offline, put
from huggingface_hub import constants, errors

from edgewise.errors import WeightsError
from edgewise.models.weight_source import locate_weights, shown_source

SOURCE = "hf-hub:timm/tiny.e1_in1k"


def refused(source: str) -> str:
    with pytest.raises(WeightsError) as caught:
        locate_weights(source)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    offline(tmp_path / "hub", monkeypatch)
    return tmp_path / "hub"


def test_the_cache_answers_without_a_network(cache: Path) -> None:
    put(cache, "timm/tiny.e1_in1k", {"model.safetensors": b"safe", "pytorch_model.bin": b"bin"})
    assert locate_weights(SOURCE).read_bytes() == b"safe"
    assert locate_weights("timm/tiny.e1_in1k").read_bytes() == b"safe"


def test_the_other_file_is_taken_where_the_cache_has_it_alone(cache: Path) -> None:
    put(cache, "timm/tiny.e1_in1k", {"pytorch_model.bin": b"bin"})
    assert locate_weights(SOURCE).read_bytes() == b"bin"


def test_revisions(cache: Path) -> None:
    for revision in ("main", "v2"):
        put(cache, "timm/tiny.e1_in1k", {"model.safetensors": revision.encode()}, revision)
    assert locate_weights(SOURCE).read_bytes() == b"main"
    assert locate_weights(f"{SOURCE}@v2").read_bytes() == b"v2"
    assert "model.safetensors or pytorch_model.bin of timm/tiny.e1_in1k is not in the cache" in refused(f"{SOURCE}@v1")


def test_offline_and_not_in_the_cache(cache: Path) -> None:
    assert refused(SOURCE) == (
        f"'{SOURCE}': model.safetensors or pytorch_model.bin of timm/tiny.e1_in1k is not in the cache ({cache}), "
        "and HF_HUB_OFFLINE=1 forbids to ask; unset it once, or give a file that is here"
    )
    assert "'timm/tiny.e1_in1k' is no file here, and the hub did not give it: model.safetensors" in refused(
        "timm/tiny.e1_in1k"
    )


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def download(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)


def test_out_of_reach(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    absent = errors.LocalEntryNotFoundError("An error happened while trying to locate the file on the Hub")
    absent.__cause__ = ConnectionError("name resolution failed\nmore")
    failing(monkeypatch, absent)
    text = refused(SOURCE)
    assert text.endswith(
        "and the hub is out of reach (name resolution failed); connect once, or give a file that is here"
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            errors.RepositoryNotFoundError,
            f"'{SOURCE}@v3': there is no repository timm/tiny.e1_in1k; check the name, or hf auth login where it is private",
        ),
        (errors.RevisionNotFoundError, "timm/tiny.e1_in1k has no revision 'v3'; leave it out for main"),
        (
            errors.GatedRepoError,
            "is gated; accept its terms on https://huggingface.co/timm/tiny.e1_in1k, then hf auth login",
        ),
        (errors.RemoteEntryNotFoundError, "has no model.safetensors or pytorch_model.bin on the hub"),
        (errors.HfHubHTTPError, f"'{SOURCE}@v3': 'HfHubHTTPError'"),
    ],
)
def test_what_the_hub_refuses(kind: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, kind.__new__(kind))
    assert message in refused(f"{SOURCE}@v3")


@pytest.mark.parametrize("name", ["weights/best.safetensors", "model.safetensors", "pytorch_model.bin"])
def test_folders_give_their_weights(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    assert locate_weights(tmp_path) == locate_weights(f"local-dir:{tmp_path}") == tmp_path / name


def test_folders_without_weights(tmp_path: Path) -> None:
    listed = "weights/best.safetensors, model.safetensors, pytorch_model.bin"
    assert f"is a folder without {listed}; give a weights file or a run's folder" in refused(f"local-dir:{tmp_path}")
    assert "there is no such folder" in refused(f"local-dir:{tmp_path / 'gone'}")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (SOURCE, SOURCE),
        (Path("/home/somebody/net.pth"), "net.pth"),
        ("/home/somebody/runs/cats", "cats"),
        ("local-dir:/home/somebody/model", "model"),
    ],
)
def test_records_name_no_folders_of_people(source: str | Path, expected: str) -> None:
    assert shown_source(source) == expected

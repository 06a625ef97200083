"""`latency-table build` as a job: what is kept, what goes on, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgewise.cli.render_latency import render_table
from edgewise.cost.count import count
from edgewise.errors import ConfigError, ExportError, InputError, Interrupted
from edgewise.pipeline import latency_table_job as module
from edgewise.pipeline.latency_table_job import TableRequest, build_table
from edgewise.pipeline.listener import JobListener
from edgewise.pipeline.network_timer import NetworkTimer
from edgewise.records.latency_table import LatencyTable
from edgewise.records.timed import Timed

SPACE = """
base: mobilenetv4_conv_small_035
choices:
  stages[2][1].mid_kernel: [3, 5]
  stages[2][2].expand_ratio: [1, 2, 4]
  stages[2][3].mid_kernel: [3, 5]
  stages[3][1].expand_ratio: [2, 4, 6]
"""


@pytest.fixture
def clockless(monkeypatch, tmp_path):
    """Networks take a ms for 10 million MACs; returns how many were timed."""
    monkeypatch.chdir(tmp_path)
    Path("space.yaml").write_text(SPACE)
    timed = []

    def times(self, networks):
        found = []
        for name, make in networks:
            timed.append(name)
            model, side = make()
            found.append(Timed(latency_ms=count(model, side).macs / 1e7, reference_ms=0.1))
        return found

    monkeypatch.setattr(NetworkTimer, "times", times)
    return timed


def request(**changes) -> TableRequest:
    return TableRequest(**({"space": "space.yaml", "networks": 24} | changes))


def test_a_table_says_what_networks_take(clockless, capsys) -> None:
    table, path = build_table(request(), None, JobListener())
    assert path == Path("runs/latency_table/table.json")
    assert LatencyTable.load(path) == table
    assert len(clockless) == len(table.networks) == 24
    assert table.prior == "none"
    assert table.median_error < 0.02
    space = module.find_space("space.yaml")
    for genotype in ((0, 0, 0, 0), (1, 2, 1, 2), (0, 1, 1, 1)):
        model, side = module._made(space, genotype)
        assert table.latency_ms(genotype) == pytest.approx(count(model, side).macs / 1e7, rel=0.05)
    assert table.fastest == (0, 0, 0, 0)
    assert table.slowest == (1, 2, 1, 2)
    assert table.min_ms == pytest.approx(table.latency_ms(table.fastest))
    render_table(table, path, as_json=False)
    said = capsys.readouterr().out
    assert "24 networks measured, the fit started from nothing: this machine is not calibrated for it" in said
    render_table(table, path, as_json=True)
    assert json.loads(capsys.readouterr().out)["space"] == table.space


def test_an_interrupted_build_goes_on(clockless, monkeypatch) -> None:
    times = NetworkTimer.times

    def interrupted(self, networks):
        if len(clockless) == 16:
            raise KeyboardInterrupt
        return times(self, networks)

    monkeypatch.setattr(NetworkTimer, "times", interrupted)
    with pytest.raises(
        Interrupted, match=r"16 networks are kept; go on with: edgewise latency-table build 'space\.yaml'"
    ):
        build_table(request(), Path("cut"), JobListener())
    monkeypatch.setattr(NetworkTimer, "times", times)
    table, _ = build_table(request(), Path("cut"), JobListener())
    assert len(clockless) == len(table.networks) == 24
    assert len({network.genotype for network in table.networks}) == 24


def test_what_cannot_be_used(clockless, monkeypatch) -> None:
    with pytest.raises(ConfigError, match="networks is 3; accepted: 20 to 100,000"):
        build_table(request(networks=3), None, JobListener())
    build_table(request(), Path("done"), JobListener())
    with pytest.raises(InputError, match="give another folder"):
        build_table(request(threads=2), Path("done"), JobListener())
    Path("done/networks.json").write_text("{}")
    with pytest.raises(InputError, match=r"networks\.json' is damaged; start anew in another folder"):
        build_table(request(), Path("done"), JobListener())
    Path("other").mkdir()
    Path("other/a.txt").write_text("mine")
    with pytest.raises(InputError, match="'other' holds no latency table to go on with"):
        build_table(request(), Path("other"), JobListener())
    assert Path("other/a.txt").read_text() == "mine"
    monkeypatch.setattr(NetworkTimer, "times", lambda self, networks: [None] * len(networks))
    with pytest.raises(ExportError, match="only 0 networks could be timed; 20 are needed"):
        build_table(request(), Path("none"), JobListener())

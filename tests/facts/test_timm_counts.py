"""Counts of timm's models to the unit: some here against the dispatcher, all of the record by what it holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from tests.dispatcher_truth import true_macs

import edgewise

RECORD = Path(__file__).parents[2] / "results" / "count_timm.json"
NAMES = (
    "mobilenetv3_small_050",  # squeeze-and-excitation
    "mobilevit_xxs",  # attention by SDPA, on patches
    "efficientvit_m0",  # attention by matmul, cascaded groups
    "levit_128s",  # attention with biases looked up, norms behind linear layers
    "tf_efficientnet_cc_b0_4e",  # kernels mixed for each image
    "xcit_nano_12_p16_224",  # attention across channels
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_equal_to_the_dispatcher(name: str, device: str) -> None:
    model = timm.create_model(name).to(device)
    side = model.pretrained_cfg["input_size"][-1]
    report = edgewise.count(model, side)
    assert report.complete, report.unknown
    assert report.macs == true_macs(model, (1, 3, side, side))
    assert report.macs == sum(kernel.macs for kernel in report.kernels)
    assert all(parameter.device.type == device for parameter in model.parameters())


def test_a_batch_costs_as_many_times_as_much() -> None:
    with torch.device("meta"):
        model = timm.create_model("mobilevit_xxs")
    one, three = (edgewise.count(model, 64, batch=batch) for batch in (1, 3))
    assert three.macs == 3 * one.macs == true_macs(model, (3, 3, 64, 64))
    assert three.weight_bytes == one.weight_bytes
    assert three.read_bytes == 3 * one.read_bytes


def test_the_record_holds_fifty_models_without_a_difference() -> None:
    rows = json.loads(RECORD.read_text(encoding="utf-8"))["rows"]
    assert len({row["name"] for row in rows}) >= 50
    for row in rows:
        counts = {row[field] for field in ("macs", "true_macs_cpu", "macs_meta", "true_macs_meta")}
        assert counts == {row["macs"]}, row["name"]
        assert row["unknown"] == [], row["name"]

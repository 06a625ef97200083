"""MobileNetV4's Table 6 as a test bed: a roofline with four more terms, fitted to each phone, each model predicted from all others.

    python benchmarks/paper_latency.py [--out results/paper_latency.json]

22 of the table's 24 models (`models.facts.peers` says which and how they are built), seven devices, published latencies. Convolutional
nets alone, and with hybrids, FastViT, EfficientViT and ConvNeXt.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from result_file import RESULTS, check, save_result, this_command
from torch import nn

from edgewise.blocks.fuse import fuse
from edgewise.cost.count import count
from edgewise.cost.roofline_fit import TERMS, fit_roofline, left_out_latencies
from edgewise.models.build import build
from edgewise.models.facts import phones
from edgewise.models.facts.peers import PEERS, Peer
from edgewise.models.resolve import resolve
from edgewise.pipeline.network import network_spec
from edgewise.records.cost import CostReport

MIN_MODELS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS / "paper_latency.json")
    given = parser.parse_args()
    models = {name: _deployed(peer) for name, peer in PEERS.items()}
    counts = {
        precision: {name: count(model, PEERS[name].img_size, dtype=precision) for name, model in models.items()}
        for precision in ("int8", "fp16")
    }
    rows, checks = [], []
    for device, precision in phones.PRECISIONS.items():
        published = {each.model: each.latency_ms for each in phones.on_device(device) if each.model in PEERS}
        plain = [name for name in published if not PEERS[name].has_attention]
        for what, names, limit in (("convolutional", plain, 6.0), ("all", list(published), 12.0)):
            if what == "all" and len(names) == len(plain):
                continue  # this device runs no other
            row = _row(device, what, [counts[precision][name] for name in names], names, published)
            rows.append(row)
            checks.append(
                check(
                    f"{device}, {what}: median error, left out one at a time", row["median_error_percent"], limit, "%"
                )
            )
            checks.append(
                check(f"{device}, {what}: rank correlation", row["rank_correlation"], 0.95, "", at_least=True)
            )
    save_result(given.out, command=this_command(), source=phones.SOURCE, checks=checks, rows=rows)
    raise SystemExit(not all(each["passed"] for each in checks))


def _row(
    device: str, what: str, reports: Sequence[CostReport], names: Sequence[str], published: dict[str, float]
) -> dict[str, Any]:
    wanted = [published[name] for name in names]
    predicted = left_out_latencies(reports, wanted)
    errors = np.abs(predicted / np.array(wanted) - 1)
    fit = fit_roofline(reports, wanted)
    return {
        "device": device,
        "models": what,
        "num_models": len(names),
        "median_error_percent": 100 * float(np.median(errors)),
        "within_10_percent": float(np.mean(errors <= 0.1)),
        "rank_correlation": _spearman(predicted, np.array(wanted)),
        "ridge_point": fit.ridge_point,
        "weights": dict(zip(TERMS, fit.weights, strict=True)),
        "left_out": {
            name: {"published_ms": ms, "predicted_ms": round(float(found), 4)}
            for name, ms, found in zip(names, wanted, predicted, strict=True)
        },
    }


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks; equal values share the mean of theirs."""
    return np.array([(np.sum(values < each) + np.sum(values <= each) - 1) / 2 for each in values])


def _deployed(peer: Peer) -> nn.Module:
    source = resolve(peer.source)
    if source.spec is None:
        import timm

        return timm.utils.reparameterize_model(source.build(peer.img_size).eval())
    spec = network_spec(peer.source, img_size=peer.img_size, num_classes=1000, width_mult=peer.width_mult)
    with torch.device("meta"):
        return fuse(build(spec).eval())


if __name__ == "__main__":
    main()

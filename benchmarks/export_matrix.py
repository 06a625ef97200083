"""Every family in every export format: made, reloaded in the real runtime and compared with the model.

One member of each family stands for it, with those whose blocks the others lack; fresh weights, random statistics, small pictures.

    python benchmarks/export_matrix.py [--img-size 64] [--formats a,b] [--out results/export_matrix.json]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from random_statistics import with_random_statistics
from result_file import RESULTS, check, save_result, this_command

import edgewise
from edgewise.deploy.export import export
from edgewise.deploy.exporters.registry import EXPORTERS
from edgewise.errors import EdgewiseError
from edgewise.models.catalogue import CATALOGUE
from edgewise.records.artifact import Preprocessing

NAMES = (
    "mobilenetv1_025",
    "mobilenetv2_035",
    "mobilenetv3_small_050",
    "tf_mobilenetv3_small_minimal_100",
    "mobilenetv4_conv_small_035",
    "mobilenetv4_conv_blur_medium",
    "mobilenetv4_hybrid_medium_075",
    "mobileformer_26m",
    "mobileformer_v4_100m",
    "repvit_m0_6",
    "mobileone_s0",
    "mobileone_s4",
    "repvgg_a0",
    "repvgg_b1g4",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", default=",".join(NAMES))
    parser.add_argument("--formats", default=",".join(EXPORTERS))
    parser.add_argument("--img-size", type=int, default=64)
    parser.add_argument("--out", type=Path, default=RESULTS / "export_matrix.json")
    given = parser.parse_args()
    rows = [
        _tried(name, format_, given.img_size) for name in given.names.split(",") for format_ in given.formats.split(",")
    ]
    failed = [row for row in rows if not row["ok"]]
    settings = {"img_size": given.img_size}
    checks = [check("pairs that failed", len(failed), 0, "")]
    save_result(given.out, command=this_command(), settings=settings, checks=checks, rows=rows)
    raise SystemExit(bool(failed))


def _tried(name: str, format_: str, img_size: int) -> dict[str, Any]:
    torch.manual_seed(0)
    model = with_random_statistics(edgewise.create_model(name, num_classes=10))
    started = time.perf_counter()
    row = {"name": name, "family": CATALOGUE[name].family, "format": format_, "ok": True, "reason": ""}
    with tempfile.TemporaryDirectory() as folder:
        try:
            artifact = export(
                model, Path(folder) / "out", format=format_, preprocessing=Preprocessing(img_size=img_size)
            )
            proof = artifact.verification
            assert proof is not None
            row |= {
                "proof": proof.kind,
                "largest_difference": proof.relative_diff,
                "bytes": artifact.file_bytes,
            }
        except EdgewiseError as error:
            row |= {"ok": False, "reason": str(error)}
    row["seconds"] = round(time.perf_counter() - started, 1)
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()

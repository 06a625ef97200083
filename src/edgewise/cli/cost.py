"""The commands that reason about cost: `profile`, `ridge`, `calibrate`, `predict-latency` and `latency-table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def profile(
    model: Annotated[
        str, typer.Argument(help="A name that 'edgewise list' shows, NAME.TAG, your own FILE.yaml, or timm:NAME.")
    ],
    device: Annotated[
        str, typer.Option(help="A name of 'edgewise device list', this-cpu, or your own device file.")
    ] = "this-cpu",
    precision: Annotated[str, typer.Option(help="fp32, fp16, bf16, int8 or int8-weights.")] = "fp32",
    threads: Annotated[int | None, typer.Option(help="Of a measured device; 1 by default.")] = None,
    img_size: Annotated[int | None, typer.Option("--img-size", "--imgsz", help="Side of the input in pixels.")] = None,
    batch: Annotated[int, typer.Option(help="Images in one call.")] = 1,
    overhead_us: Annotated[float, typer.Option(help="Fixed cost of a kernel in µs, where you know it.")] = 0.0,
    stated: Annotated[
        bool, typer.Option("--stated", help="The data sheet's figures even where there are fitted ones.")
    ] = False,
    measured: Annotated[
        str | None, typer.Option(help="A latency in ms, or a bench's record, to set beside the roof.")
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="One row a kernel.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for chart and table; default runs/profile, numbered.")
    ] = None,
    json: Json = False,
) -> None:
    """A model under a device's roof: the least time of each kernel, and whether arithmetic or memory bounds it."""
    from edgewise.cli.render_profile import render_profile
    from edgewise.pipeline.profile_job import ProfileRequest, profile_model

    request = ProfileRequest(
        model=model,
        device=device,
        precision=precision,
        threads=threads,
        img_size=img_size,
        batch=batch,
        overhead_us=overhead_us,
        stated=stated,
        measured=measured,
    )
    render_profile(profile_model(request, out), layers=layers, as_json=json)


def ridge(
    what: Annotated[
        list[str] | None, typer.Argument(help="Models or patterns; nothing for the whole catalogue.")
    ] = None,
    sweep: Annotated[str, typer.Option(help="LOW:HIGH in MACs per byte.")] = "0:500",
    precision: Annotated[str, typer.Option(help="That bytes are counted for.")] = "int8",
    peers: Annotated[
        bool, typer.Option("--peers", help="Add FastViT, EfficientViT and ConvNeXt as MobileNetV4's paper does (timm).")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for charts and table; default runs/ridge, numbered.")] = None,
    json: Json = False,
) -> None:
    """Cost against the device's ridge point: which models stay on the Pareto front, and what costs what."""
    from edgewise.cli.progress import TerminalListener
    from edgewise.cli.render_ridge import render_ridge
    from edgewise.cli.terminal import notes
    from edgewise.pipeline.ridge_job import RidgeRequest, parse_sweep, ridge_sweep

    low, high = parse_sweep(sweep)
    request = RidgeRequest(what=tuple(what or ()), low=low, high=high, precision=precision, peers=peers)
    with TerminalListener(notes(), quiet=json) as listener:
        found = ridge_sweep(request, out, listener)
    render_ridge(found, as_json=json)


def calibrate(
    runtime: Annotated[str, typer.Option(help="onnxruntime, openvino, litert or executorch.")] = "onnxruntime",
    threads: Annotated[int, typer.Option(help="Of one call.")] = 1,
    budget: Annotated[str, typer.Option(help="Time to spend, as in 15m.")] = "15m",
    resume: Annotated[Path | None, typer.Option(help="Go on with the calibration in this folder.")] = None,
    out: Annotated[Path | None, typer.Option(help="New folder; default runs/calibrate, numbered.")] = None,
    json: Json = False,
) -> None:
    """Time small random networks in a runtime on this machine, and fit a latency predictor to them."""
    from edgewise.cli.progress import TerminalListener
    from edgewise.cli.render_latency import render_calibration
    from edgewise.cli.terminal import notes
    from edgewise.errors import ConfigError
    from edgewise.pipeline.calibrate_job import calibrate as run
    from edgewise.pipeline.calibrate_job import open_calibration
    from edgewise.pipeline.settings import parse_duration
    from edgewise.records.latency_profile import CalibrationRequest

    if resume is not None and out is not None:
        raise ConfigError("--resume and --out were both given; a resumed calibration stays in its folder")
    asked = CalibrationRequest(runtime=runtime, threads=threads, budget_s=parse_duration(budget))
    request = open_calibration(resume) if resume is not None else asked
    with TerminalListener(notes(), quiet=json) as listener:
        profile, path = run(request, resume or out, listener)
    render_calibration(profile, path, as_json=json)


def predict_latency(
    model: Annotated[
        str, typer.Argument(help="A name that 'edgewise list' shows, NAME.TAG, your own FILE.yaml, or timm:NAME.")
    ],
    profile: Annotated[
        Path | None, typer.Option(help="A profile.json; by default this machine's of --runtime and --threads.")
    ] = None,
    runtime: Annotated[str, typer.Option(help="Whose profile is taken.")] = "onnxruntime",
    threads: Annotated[int, typer.Option(help="Of one call.")] = 1,
    img_size: Annotated[int | None, typer.Option("--img-size", "--imgsz", help="Side of the input in pixels.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse profiles of other machines or versions, and uncounted operators.")
    ] = False,
    layers: Annotated[bool, typer.Option("--layers", help="One row a kernel.")] = False,
    json: Json = False,
) -> None:
    """What one image will take in a calibrated runtime, with an interval; nothing is exported or run."""
    from edgewise.cli.render_latency import render_predicted
    from edgewise.pipeline.predict_latency_job import predict_latency as run

    found = run(model, profile=profile, runtime=runtime, threads=threads, img_size=img_size, strict=strict)
    render_predicted(found, as_json=json, layers=layers)


latency_table = typer.Typer(
    name="latency-table",
    help="What each choice of a search space costs in time on this machine.",
    epilog="Example: edgewise latency-table build mobilenetv4_conv_small --runtime onnxruntime",
    no_args_is_help=True,
)


@latency_table.command(epilog="Example: edgewise latency-table build mobilenetv4_conv_small --runtime onnxruntime")
def build(
    space: Annotated[
        str,
        typer.Argument(
            help="A FILE.yaml with base and choices, or a model's name: both depthwise layers of each of its blocks."
        ),
    ],
    runtime: Annotated[str, typer.Option(help="As in onnxruntime.")] = "onnxruntime",
    threads: Annotated[int, typer.Option(help="Of one call.")] = 1,
    networks: Annotated[int, typer.Option(help="Random networks of the space to measure.")] = 120,
    out: Annotated[
        Path | None,
        typer.Option(help="A new folder, or an earlier one to go on in; default runs/latency_table, numbered."),
    ] = None,
    json: Json = False,
) -> None:
    """Measure random networks of a space, fit what each option costs, and say how well the sums hold."""
    from edgewise.cli.progress import TerminalListener
    from edgewise.cli.render_latency import render_table
    from edgewise.cli.terminal import notes
    from edgewise.pipeline.latency_table_job import TableRequest, build_table

    request = TableRequest(space=space, runtime=runtime, threads=threads, networks=networks)
    with TerminalListener(notes(), quiet=json) as listener:
        table, path = build_table(request, out, listener)
    render_table(table, path, as_json=json)

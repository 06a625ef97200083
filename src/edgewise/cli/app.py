"""All commands."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewise.cli import cost
from edgewise.cli.device import device
from edgewise.errors import ConfigError, InputError

if TYPE_CHECKING:
    from edgewise.cli.render_models import Rows
    from edgewise.records.bench import BenchRequest

app = typer.Typer(
    name="edgewise",
    help="From a folder of images and a latency budget to a trained, exported, verified and measured mobile vision model.",
    epilog="Start with: edgewise quickstart",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(device)
app.add_typer(cost.latency_table)
app.command(epilog="Example: edgewise profile mobilenetv4_conv_small --device pixel6_cpu_big --precision int8")(
    cost.profile
)
app.command(epilog="Example: edgewise ridge 'mobilenetv4_*' repvit_m1_0 --sweep 0:500")(cost.ridge)
app.command(epilog="Example: edgewise calibrate --runtime onnxruntime --threads 1 --budget 15m")(cost.calibrate)
app.command("predict-latency", epilog="Example: edgewise predict-latency mobilenetv4_conv_small --runtime onnxruntime")(
    cost.predict_latency
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Data = Annotated[
    str, typer.Argument(help="Folder or tar of images (train/ and val/, or one folder a class), or 'digits'.")
]
Source = Annotated[str, typer.Argument(help="A run's folder, its weights/best.safetensors, or an exported file.")]
ExportSource = Annotated[
    str,
    typer.Argument(
        help="A run's folder or best.safetensors; NAME.TAG (published weights); NAME, FILE.yaml, timm:NAME."
    ),
]
Project = Annotated[Path, typer.Option(help="Folder that holds all runs.")]
Name = Annotated[str | None, typer.Option(help="Name of the run; a number is added where it is taken.")]
Model = Annotated[
    str | None, typer.Option(help="A name that 'edgewise list' shows, NAME.TAG for its weights, or your own FILE.yaml.")
]
ImgSize = Annotated[int | None, typer.Option("--img-size", "--imgsz", help="Side of the input in pixels, 8 to 4096.")]
Weights = Annotated[
    str | None,
    typer.Option("--weights", "--initial-checkpoint", help="Start from this file, run or hf-hub:OWNER/NAME."),
]
Pretrained = Annotated[bool, typer.Option("--pretrained", help="Start from the model's published weights.")]
Qat = Annotated[
    str | None,
    typer.Option(
        help="Train this run (folder, best.safetensors) or NAME.TAG further with int8 simulated; top-1 is then int8's.",
        metavar="CHECKPOINT",
    ),
]
Epochs = Annotated[int | None, typer.Option(help="Passes over the training images.")]
Batch = Annotated[int | None, typer.Option(help="Images a step.")]
TimeBudget = Annotated[
    str | None, typer.Option("--time-budget", "--time", help="End within this time, as in 90s, 20m, 1.5h.")
]
Resume = Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")]
Runtime = Annotated[
    str, typer.Option(help="Runtime that the model is chosen for, as in onnxruntime, openvino, litert.")
]
Threads = Annotated[int, typer.Option(help="Threads of the deployed model.")]
Recipe = Annotated[str | None, typer.Option(help="A named recipe; by default one for your own pictures.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results only.")]
BenchRuntime = Annotated[
    str | None, typer.Option(help="Runtimes for models and runs, with commas; all; by default onnxruntime.")
]
BenchPrecision = Annotated[str, typer.Option(help="Precisions of models and runs, with commas; all.")]
BenchThreads = Annotated[str, typer.Option(help="Threads of one call; several with commas.")]
BenchBatch = Annotated[int, typer.Option(help="Images a call.")]
BenchData = Annotated[str | None, typer.Option(help="Real images, which int8 needs.")]
CostBatch = Annotated[int, typer.Option(help="Images a pass.")]
CostDtype = Annotated[
    str, typer.Option(help="Precision that bytes are counted for: fp32, fp16, bf16, int8, int8-weights.")
]
Fusion = Annotated[
    str, typer.Option(help="What runs as one kernel: generic, eager, onnxruntime, openvino, litert, executorch.")
]
ValShare = Annotated[float, typer.Option(help="Share that validates where the data has no val/ folder.")]
TRAIN_PANEL = "Training settings (default: the recipe's)"


def _setting(help_: str, *names: str) -> Any:
    return typer.Option(*names, help=help_, rich_help_panel=TRAIN_PANEL)


Accumulate = Annotated[int | None, _setting("Batches whose gradients make one step.")]
WidthMult = Annotated[float | None, _setting("Scales every width of the model; 1 = as published.")]
Lr = Annotated[float | None, _setting("Peak learning rate.")]
Decay = Annotated[float | None, _setting("AdamW's weight decay.")]
Warmup = Annotated[float | None, _setting("Epochs of rising learning rate.")]
Smoothing = Annotated[float | None, _setting("Label smoothing, 0 to 1.", "--label-smoothing", "--smoothing")]
DropRate = Annotated[float | None, _setting("Dropout before the classifier.", "--drop-rate", "--drop")]
DropPath = Annotated[float | None, _setting("Stochastic depth.", "--drop-path-rate", "--drop-path")]
EmaDecay = Annotated[float | None, _setting("Decay of the averaged weights.", "--ema-decay", "--model-ema-decay")]
ClipGrad = Annotated[float | None, _setting("Largest norm of the gradient.")]
Mixup = Annotated[float | None, _setting("Mixup's alpha.")]
Cutmix = Annotated[float | None, _setting("Cutmix's alpha.")]
HFlip = Annotated[float | None, _setting("Probability of mirroring; 0 for text and digits.")]
Amp = Annotated[str | None, _setting("Mixed precision: off, bf16 or fp16.")]
Device = Annotated[str | None, _setting("cpu, or cuda:0.")]
Workers = Annotated[int | None, _setting("Processes that load images.")]
Seed = Annotated[int | None, _setting("Of everything random.")]


def with_key_values(command: Any, arguments: list[str]) -> list[str]:
    """Turn ``epochs=5`` into ``--epochs 5`` where the command has such an option, as users of Ultralytics type it."""
    commands = getattr(command, "commands", {})
    chosen = commands.get(arguments[0]) if arguments else None
    if chosen is None:
        return arguments
    options = {name for parameter in chosen.params for name in getattr(parameter, "opts", ())}
    turned: list[str] = [arguments[0]]
    for position, argument in enumerate(arguments[1:], 1):
        if argument == "--":
            return turned + arguments[position:]
        found = re.fullmatch(r"([a-z][a-z0-9_-]*)=(.*)", argument, re.DOTALL)
        name = "--" + found[1].replace("_", "-") if found else ""
        turned += [name, found[2]] if found and name in options else [argument]
    return turned


@app.command("list", epilog="Example: edgewise list 'mobilenetv4_conv*'")
def list_(
    pattern: Annotated[str, typer.Argument(help="Shell pattern.")] = "*",
    family: Annotated[str | None, typer.Option(help="One family alone, as in mobilenetv4.")] = None,
    json: Json = False,
) -> None:
    """List the models with parameters, MACs, published accuracy and how many sets of weights there are."""
    from edgewise.cli.render_models import render_list

    render_list(pattern, family, as_json=json)


@app.command(epilog="Example: edgewise info mobilenetv4_conv_small --spec > my.yaml; edgewise info my.yaml")
def info(
    model: Annotated[
        str, typer.Argument(help="A name that 'edgewise list' shows, NAME.TAG, your own FILE.yaml, or timm:NAME.")
    ],
    img_size: ImgSize = None,
    batch: CostBatch = 1,
    dtype: CostDtype = "fp32",
    fusion: Fusion = "generic",
    blocks: Annotated[bool, typer.Option("--blocks", help="One row a block instead of a stage.")] = False,
    layers: Annotated[bool, typer.Option("--layers", help="One row a kernel: all that is run.")] = False,
    spec: Annotated[bool, typer.Option("--spec", help="Print the model's rows as YAML, ready to edit.")] = False,
    json: Json = False,
) -> None:
    """Show a model's cost, stage by stage, its published accuracy and its weights."""
    from edgewise.cli.render_models import render_info, render_spec

    if spec:
        render_spec(model, img_size, as_json=json)
        return
    if blocks and layers:
        raise ConfigError("--blocks and --layers were both given; accepted: one of them")
    rows: Rows = "layers" if layers else "blocks" if blocks else "stages"
    render_info(model, img_size, batch=batch, dtype=dtype, fusion=fusion, rows=rows, as_json=json)


@app.command("compare-cost", epilog="Example: edgewise compare-cost mobilenetv4_conv_small mobilenetv3_large_100")
def compare_cost(
    first: Annotated[str, typer.Argument(metavar="A", help="A model, as for info.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    img_size: ImgSize = None,
    batch: CostBatch = 1,
    dtype: CostDtype = "fp32",
    fusion: Fusion = "generic",
    json: Json = False,
) -> None:
    """Compare what two models compute, hold and move, each at its own image size unless one is given."""
    from edgewise.cli.render_cost import render_cost_comparison
    from edgewise.models.resolve import resolve

    sources = [resolve(given) for given in (first, second)]
    from edgewise.pipeline.describe import describe_model

    found = [describe_model(each, img_size, batch=batch, dtype=dtype, fusion=fusion) for each in sources]
    render_cost_comparison(found, as_json=json)


@app.command(epilog="Example: edgewise quickstart")
def quickstart(project: Project = Path("runs"), quiet: Quiet = False, json: Json = False) -> None:
    """Train, export, verify and measure a small model on handwritten digits; needs no download, about a minute."""
    from edgewise.cli.progress import TerminalListener
    from edgewise.cli.render import render_run
    from edgewise.cli.terminal import notes
    from edgewise.pipeline.quickstart import quickstart as job

    with TerminalListener(notes(), quiet=quiet) as listener:
        folder, run = job(project, listener)
    render_run(folder, run, as_json=json)


@app.command(epilog="Example: edgewise fit ./photos --max-ms 5 --time-budget 20m")
def fit(
    data: Annotated[str | None, typer.Argument(help=Data.__metadata__[0].help)] = None,
    max_ms: Annotated[float | None, typer.Option("--max-ms", help="Latency budget in ms, measured here.")] = None,
    runtime: Runtime = "onnxruntime",
    formats: Annotated[
        str | None,
        typer.Option(help="Formats to deploy: names with commas, or all; by default the runtime's own and onnx."),
    ] = None,
    threads: Threads = 1,
    model: Model = None,
    models: Annotated[
        str | None, typer.Option(help="Candidates for --max-ms, as in 'mobilenetv4_conv*,repvit_m1_0'.")
    ] = None,
    weights: Weights = None,
    pretrained: Pretrained = False,
    epochs: Epochs = None,
    img_size: ImgSize = None,
    time_budget: TimeBudget = None,
    batch: Batch = None,
    max_drop: Annotated[float, typer.Option(help="Accepted fall of int8's top-1, in points.")] = 1.0,
    resume: Resume = None,
    project: Project = Path("runs"),
    name: Name = None,
    recipe: Recipe = None,
    val_share: ValShare = 0.2,
    quiet: Quiet = False,
    json: Json = False,
    width_mult: WidthMult = None,
    lr: Lr = None,
    weight_decay: Decay = None,
    warmup_epochs: Warmup = None,
    label_smoothing: Smoothing = None,
    drop_rate: DropRate = None,
    drop_path_rate: DropPath = None,
    ema_decay: EmaDecay = None,
    clip_grad: ClipGrad = None,
    accumulate: Accumulate = None,
    mixup: Mixup = None,
    cutmix: Cutmix = None,
    hflip: HFlip = None,
    amp: Amp = None,
    device: Device = None,
    workers: Workers = None,
    seed: Seed = None,
) -> None:
    """From a folder of images to a trained, exported, verified and measured model with a report."""
    settings = _given(locals())
    from edgewise.cli.progress import TerminalListener
    from edgewise.cli.render import render_run
    from edgewise.cli.terminal import notes
    from edgewise.pipeline.fit import FitRequest, resume_fit
    from edgewise.pipeline.fit import fit as job
    from edgewise.pipeline.settings import parse_duration

    with TerminalListener(notes(), quiet=quiet) as listener:
        if resume is not None:
            folder, run = resume_fit(resume, listener, data=data)
        else:
            request = FitRequest(
                data=_required(data, "DATA"),
                project=project,
                name="fit" if name is None else name,
                max_ms=max_ms,
                runtime=runtime,
                formats=_several(formats) if formats is not None else (),
                threads=threads,
                model=model,
                models=models,
                img_size=img_size,
                time_budget_s=parse_duration(time_budget) if time_budget else None,
                recipe=recipe,
                val_share=val_share,
                max_drop=max_drop / 100,
                overrides=settings,
                command=_command(),
            )
            folder, run = job(request, listener)
    render_run(folder, run, as_json=json)


@app.command(epilog="Example: edgewise train ./photos --model mobilenetv4_conv_small --epochs 50")
def train(
    data: Annotated[str | None, typer.Argument(help=Data.__metadata__[0].help)] = None,
    model: Model = None,
    weights: Weights = None,
    pretrained: Pretrained = False,
    qat: Qat = None,
    epochs: Epochs = None,
    img_size: ImgSize = None,
    batch: Batch = None,
    time_budget: TimeBudget = None,
    resume: Resume = None,
    project: Project = Path("runs"),
    name: Name = None,
    recipe: Recipe = None,
    val_share: ValShare = 0.2,
    quiet: Quiet = False,
    json: Json = False,
    width_mult: WidthMult = None,
    lr: Lr = None,
    weight_decay: Decay = None,
    warmup_epochs: Warmup = None,
    label_smoothing: Smoothing = None,
    drop_rate: DropRate = None,
    drop_path_rate: DropPath = None,
    ema_decay: EmaDecay = None,
    clip_grad: ClipGrad = None,
    accumulate: Accumulate = None,
    mixup: Mixup = None,
    cutmix: Cutmix = None,
    hflip: HFlip = None,
    amp: Amp = None,
    device: Device = None,
    workers: Workers = None,
    seed: Seed = None,
) -> None:
    """Train a model; survives Ctrl-C and kill -9 (go on with --resume RUN)."""
    settings = _given(locals())
    from edgewise.cli.progress import TerminalListener
    from edgewise.cli.render import render_training
    from edgewise.cli.terminal import notes
    from edgewise.pipeline.settings import parse_duration
    from edgewise.pipeline.train_job import TrainRequest, resume_training, run_training

    if time_budget:
        settings["time_budget_s"] = parse_duration(time_budget)
    with TerminalListener(notes(), quiet=quiet) as listener:
        if resume is not None:
            changed = settings | {"model": model, "img_size": img_size, "qat": qat}
            folder, record = resume_training(resume, listener, data=data, changed=changed)
        else:
            request = TrainRequest(
                data=_required(data, "DATA"),
                project=project,
                name="train" if name is None else name,
                model=model,
                qat=qat,
                img_size=img_size,
                recipe=recipe,
                val_share=val_share,
                overrides=settings,
                command=_command(),
            )
            folder, record = run_training(request, listener)
    render_training(folder, record, as_json=json)


@app.command(epilog="Example: edgewise val runs/fit ./photos")
def val(source: Source, data: Data, val_share: ValShare = 0.2, json: Json = False) -> None:
    """Measure the accuracy of a run's model or of an exported file."""
    from edgewise.cli.render import render_evaluation
    from edgewise.pipeline.datasets import open_named
    from edgewise.pipeline.validate import validate

    render_evaluation(validate(source, open_named(data, val_share=val_share)), as_json=json)


@app.command(epilog="Example: edgewise predict runs/fit 'holiday/*.jpg' --out answers")
def predict(
    source: Source,
    pictures: Annotated[list[str], typer.Argument(help="Files, folders and globs.")],
    top: Annotated[int, typer.Option(help="How many labels.")] = 5,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the drawn pictures; default runs/predict, numbered.")
    ] = None,
    draw: Annotated[bool, typer.Option(help="Draw the answers on a copy of each picture.")] = True,
    json: Json = False,
) -> None:
    """Answer pictures: the five most likely labels with probabilities, also drawn on a copy of the picture."""
    from edgewise.cli.render import render_answers
    from edgewise.pipeline.predict import numbered_folder
    from edgewise.pipeline.predict import predict as job

    out_dir = (out or numbered_folder()) if draw else None
    if render_answers(job(source, pictures, top=top, out_dir=out_dir), as_json=json, out_dir=out_dir) == 0:
        raise InputError("none of the pictures could be read")


@app.command(epilog="Example: edgewise export runs/fit --format all --out deployed")
def export(
    source: ExportSource,
    out: Annotated[Path, typer.Option(help="New folder for the file; for several, of a folder for each.")] = Path(
        "exported"
    ),
    format: Annotated[  # noqa: A002
        str, typer.Option(help="onnx, openvino, tflite, pte, ncnn, mlpackage, pt2; several with commas; all.")
    ] = "onnx",
    precision: Annotated[
        str,
        typer.Option(help="fp32, fp16, bf16, int8, int8-weights; which format has which: edgewise doctor --matrix."),
    ] = "fp32",
    data: Annotated[str | None, typer.Option(help="Real images to verify on, and to calibrate int8 with.")] = None,
    max_drop: Annotated[float, typer.Option(help="Accepted fall of a reduced precision's top-1, in points.")] = 1.0,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Keep the most sensitive layers of int8 in float where top-1 falls too far.")
    ] = False,
    allow_drop: Annotated[
        bool, typer.Option("--allow-drop", help="Keep a file whose top-1 falls further, marked as failed.")
    ] = False,
    fold_normalize: Annotated[
        bool,
        typer.Option("--fold-normalize", help="The file takes RGB pixels, 0 to 255 as float32, and normalises them."),
    ] = False,
    softmax: Annotated[bool, typer.Option("--softmax", help="The file gives probabilities instead of logits.")] = False,
    layout: Annotated[
        str | None, typer.Option(help="Order of the input's axes: nchw, nhwc; default: nhwc for tflite, else nchw.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export of another model.")] = False,
    img_size: ImgSize = None,
    json: Json = False,
) -> None:
    """Export a run's model, or one by name; every file is reloaded and compared before it appears."""
    from edgewise.cli.progress import TerminalListener
    from edgewise.cli.render import render_artifact, render_exports
    from edgewise.cli.terminal import notes
    from edgewise.pipeline.export_job import ExportRequest, export_formats, export_run, formats_with

    request = ExportRequest(
        source=source,
        precision=precision,
        data=data,
        max_drop=max_drop / 100,
        allow_drop=allow_drop,
        mixed=mixed,
        force=force,
        img_size=img_size,
        fold_normalize=fold_normalize,
        softmax=softmax,
        layout=layout,
    )
    formats = formats_with(precision, mixed=mixed, layout=layout) if format == "all" else list(_several(format))
    with TerminalListener(notes(), quiet=False) as listener:
        if len(formats) == 1 and format != "all":
            render_artifact(export_run(request, out, formats[0], listener), out, as_json=json)
            return
        outcomes = export_formats(request, out, formats, listener)
    render_exports(outcomes, as_json=json)
    if any(each.artifact is None and not each.missing for each in outcomes):
        raise typer.Exit(2)


@app.command(epilog="Example: edgewise bench mobilenetv4_conv_small --runtime all --precision fp32,bf16 --threads 1,2")
def bench(
    what: Annotated[
        list[str] | None,
        typer.Argument(help="Model names or patterns, FILE.yaml, timm:NAME, runs, exported files or folders."),
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Every model of the catalogue, smallest first.")] = False,  # noqa: A002
    runtime: BenchRuntime = None,
    precision: BenchPrecision = "fp32",
    threads: BenchThreads = "1",
    batch: BenchBatch = 1,
    img_size: ImgSize = None,
    data: BenchData = None,
    max_ms: Annotated[float | None, typer.Option(help="Leave out what takes longer than this.")] = None,
    launches: Annotated[
        int | None, typer.Option(help="Fresh processes for each case; by default 6, with --all 2.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="New folder for the records; default runs/bench, numbered.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the bench in this folder.")] = None,
    json: Json = False,
) -> None:
    """Measure latency: fresh pinned processes, interleaved blocks, 95 % interval, and a verdict."""
    from edgewise.cli.progress import TerminalListener
    from edgewise.cli.render_bench import render_bench
    from edgewise.cli.terminal import notes
    from edgewise.pipeline.bench_folder import BenchFolder
    from edgewise.pipeline.bench_job import bench_all
    from edgewise.pipeline.bench_ways import check_request, named

    if resume is not None:
        folder = BenchFolder.open(resume)
    else:
        asked = _asked(named(what or (), all_=all), runtime, precision, threads, batch, img_size, data, max_ms)
        asked = asked.model_copy(
            update={"launches": launches if launches is not None else 2 if all else asked.launches}
        )
        check_request(asked)
        folder = BenchFolder.create(asked, out)
    with TerminalListener(notes(), quiet=json) as listener:
        cases = bench_all(folder.request, folder, listener=listener)
    render_bench(cases, folder.path, as_json=json)


@app.command(epilog="Example: edgewise compare mobilenetv4_conv_small --runtime onnxruntime,openvino")
def compare(
    what: Annotated[
        list[str], typer.Argument(help="A and B, as for bench; or A alone, in two ways; or two records of benches.")
    ],
    runtime: BenchRuntime = None,
    precision: BenchPrecision = "fp32",
    threads: BenchThreads = "1",
    batch: BenchBatch = 1,
    img_size: ImgSize = None,
    data: BenchData = None,
    json: Json = False,
) -> None:
    """Measure two in turns and say whether the second is faster, slower, or no difference shows."""
    from edgewise.cli.progress import TerminalListener
    from edgewise.cli.render_bench import render_comparison
    from edgewise.cli.terminal import notes
    from edgewise.pipeline.compare_job import compare_two

    asked = _asked(what, runtime, precision, threads, batch, img_size, data)
    with TerminalListener(notes(), quiet=json) as listener:
        comparison, measured = compare_two(asked, listener=listener)
    render_comparison(comparison, measured, as_json=json)


@app.command(epilog="Example: edgewise pareto runs/bench --max-ms 5 --published pixel6_cpu")
def pareto(
    benches: Annotated[list[Path] | None, typer.Argument(help="Folders of benches.")] = None,
    max_ms: Annotated[float | None, typer.Option(help="Name the most accurate within this latency.")] = None,
    min_top1: Annotated[float | None, typer.Option(help="Name the fastest with this top-1, in per cent.")] = None,
    published: Annotated[
        str, typer.Option(help="Draw published latencies beside: pixel6_cpu, s23_cpu, iphone13_coreml, …; with commas.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder for chart, page and table; default the first bench's.")
    ] = None,
    json: Json = False,
) -> None:
    """Latency against accuracy over measured models, runtimes and precisions: chart, table, and what to take."""
    from edgewise.cli.render_pareto import render_pareto
    from edgewise.pipeline import pareto_job

    request = pareto_job.ParetoRequest(
        benches=tuple(benches or ()),
        max_ms=max_ms,
        min_top1=None if min_top1 is None else min_top1 / 100,
        published=_several(published),
    )
    render_pareto(pareto_job.pareto(request, out), as_json=json)


@app.command(epilog="Example: edgewise report runs/fit")
def report(run: Annotated[Path, typer.Argument(help="A run's folder.")], json: Json = False) -> None:
    """Write a run's report.html anew."""
    from edgewise.cli.render import render_run
    from edgewise.pipeline.reporting import render_again
    from edgewise.train.run_folder import open_run_folder

    folder = open_run_folder(run)
    render_run(folder, render_again(folder), as_json=json)


@app.command(epilog="Example: edgewise doctor")
def doctor(
    json: Json = False,
    matrix: Annotated[bool, typer.Option("--matrix", help="Show the export formats instead.")] = False,
) -> None:
    """Say what works here and what to install for the rest; installs nothing."""
    from edgewise.cli.render import render_checks, render_formats
    from edgewise.pipeline.doctor import examine, format_support

    if matrix:
        render_formats(format_support(), as_json=json)
        return
    environment, checks = examine()
    render_checks(environment, checks, as_json=json)
    if any(not check.ok and check.required for check in checks):
        raise typer.Exit(1)


SETTINGS = [
    "weights",
    "pretrained",
    "epochs",
    "batch",
    "accumulate",
    "width_mult",
    "lr",
    "weight_decay",
    "warmup_epochs",
    "label_smoothing",
    "drop_rate",
    "drop_path_rate",
    "ema_decay",
    "clip_grad",
    "mixup",
    "cutmix",
    "hflip",
    "amp",
    "device",
    "workers",
    "seed",
]


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Return the training settings that were typed."""
    return {name: values[name] for name in SETTINGS if values[name] is not None and values[name] is not False}


def _required(value: str | None, name: str) -> str:
    if value is None:
        raise ConfigError(f"{name} is missing: give a folder or tar of images, or --resume RUN")
    return value


def _asked(
    what: Sequence[str],
    runtime: str | None,
    precision: str,
    threads: str,
    batch: int,
    img_size: int | None,
    data: str | None,
    max_ms: float | None = None,
) -> BenchRequest:
    """Return what to measure and in what ways."""
    from edgewise.records.bench import BenchRequest

    return BenchRequest(
        what=tuple(what),
        runtimes=_several(runtime or ""),
        precisions=_several(precision),
        threads=tuple(_whole("threads", each) for each in _several(threads)),
        batch=batch,
        img_size=img_size,
        data=data,
        max_ms=max_ms,
    )


def _several(text: str) -> tuple[str, ...]:
    """Return what stands between commas."""
    return tuple(filter(None, (each.strip() for each in text.split(","))))


def _whole(name: str, text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"{name} is {text}; must be whole numbers, with commas between them")
    return int(text)


def _command() -> str:
    return shlex.join(["edgewise", *sys.argv[1:]])

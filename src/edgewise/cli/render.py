"""Results as tables on the terminal, or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from edgewise.cli.tables import new_table, plain
from edgewise.cli.terminal import console, notes, print_json
from edgewise.errors import shown
from edgewise.report.formatting import format_bytes, format_ms, format_percent

if TYPE_CHECKING:
    from rich.table import Table

    from edgewise.pipeline.doctor import Check, FormatSupport
    from edgewise.pipeline.export_job import Outcome
    from edgewise.pipeline.predict import Answer
    from edgewise.records.artifact import Artifact, VerificationRecord
    from edgewise.records.environment import Environment
    from edgewise.records.run import RunRecord
    from edgewise.records.training import EvalRecord, TrainRecord
    from edgewise.train.run_folder import RunFolder


STRUCTURE_ONLY = "its input, output and weights are the model's; Core ML itself runs on macOS alone"
COMPUTED_BY_TORCH = "its operators, computed by torch, answer like the model; Core ML itself runs on macOS alone"


def render_run(folder: RunFolder, run: RunRecord, *, as_json: bool) -> None:
    """Show a finished job: files, best choice, where the report is, and what to do next."""
    from edgewise.report.ranking import best_file_sentence, reduced_sentences

    if as_json:
        print_json({"folder": str(folder.path)} | run.model_dump(mode="json", exclude={"samples"}))
        return
    out = console()
    if run.training is not None:
        out.print(
            f"\n[bold]{run.model}[/] validation top-1 [bold]{format_percent(run.training.best_top1)}[/] "
            f"(epoch {run.training.best_epoch} of {run.training.epochs[-1].epoch})"
        )
    if run.files:
        out.print(_file_table(run))
        for sentence in (best_file_sentence(run), *reduced_sentences(run)):
            if sentence:
                out.print(sentence, soft_wrap=True)
    out.print(f"\nReport: [bold]{plain(folder.report)}[/]", soft_wrap=True)
    _say_next(folder, run)


def _file_table(run: RunRecord) -> Table:
    table = new_table("file", "size>", "top-1>", "agrees>", "latency>", "95 %", "verdict")
    for file in run.files:
        measured = file.measurement
        table.add_row(
            file.name,
            format_bytes(measured.file_bytes) if measured else "",
            format_percent(file.top1),
            format_percent(file.agreement),
            format_ms(measured.latency_ms) if measured else "",
            f"{measured.ci_low_ms:#.3g}-{measured.ci_high_ms:#.3g} ms" if measured else "",
            measured.verdict if measured else "",
        )
    return table


def _say_next(folder: RunFolder, run: RunRecord) -> None:
    import shlex

    best = next((file for file in reversed(run.files) if file.artifact is not None), None)
    where = folder.exports / best.name if best is not None else folder.path
    lines = [f"edgewise predict {shlex.quote(str(folder.path))} PICTURE.jpg"]
    if best is not None:
        lines.append(f"edgewise bench {shlex.quote(str(where))} --threads 2")
    if run.name.startswith("quickstart"):
        lines.append("edgewise fit YOUR_PHOTOS --max-ms 5 --time-budget 20m")
    else:
        from edgewise.records.run import Job

        lines.append(f"edgewise val {shlex.quote(str(where))} {shlex.quote(Job.load(folder.job).data)}")
    console().print("Next:")
    for line in lines:
        console().print(f"  {line}", soft_wrap=True, markup=False)


def render_training(folder: RunFolder, record: TrainRecord, *, as_json: bool) -> None:
    """Show a finished training."""
    if as_json:
        print_json({"folder": str(folder.path)} | record.model_dump(mode="json"))
        return
    from edgewise.train.config import load_config

    of_what = ", int8 simulated," if load_config(folder.config).qat else ""
    console().print(
        f"\nBest validation top-1{of_what} [bold]{format_percent(record.best_top1)}[/] in epoch {record.best_epoch}\n"
        f"Weights: {plain(folder.best)}\nReport: [bold]{plain(folder.report)}[/]",
        soft_wrap=True,
    )


def render_evaluation(record: EvalRecord, *, as_json: bool) -> None:
    """Show a model's accuracy, class by class."""
    if as_json:
        print_json(record.model_dump(mode="json"))
        return
    table = new_table("class", "images>", "recall>", "precision>")
    for each in record.classes:
        table.add_row(
            plain(shown(each.label)[1:-1]),
            str(each.num_images),
            format_percent(each.recall),
            format_percent(each.precision),
        )
    console().print(table)
    console().print(
        f"top-1 [bold]{format_percent(record.top1)}[/], top-5 {format_percent(record.top5)}, loss {record.loss:.3f} "
        f"on {record.num_images} images"
    )


def render_answers(answers: Iterable[Answer], *, as_json: bool, out_dir: Path | None = None) -> int:
    """Show answers as they come; returns how many pictures could be read."""
    rows: list[dict[str, object]] = []
    readable = 0
    for answer in answers:
        readable += bool(answer.top)
        name = shown(answer.path, limit=4096)[1:-1]
        if as_json:
            top = [{"label": label, "probability": value} for label, value in answer.top]
            drawn = str(answer.drawn) if answer.drawn else None
            rows.append({"path": str(answer.path), "top": top, "error": answer.error, "drawn": drawn})
        elif answer.error:
            notes().print(f"[red]{plain(name)}[/]: {plain(answer.error)}", soft_wrap=True)
        else:
            text = ", ".join(f"{shown(label)[1:-1]} {format_percent(value)}" for label, value in answer.top)
            console().print(f"{name}: {text}", soft_wrap=True, markup=False)
    if as_json:
        print_json(rows)
    elif readable and out_dir is not None:
        notes().print(f"drawn in {out_dir}", style="dim", markup=False, soft_wrap=True)
    return readable


def render_artifact(artifact: Artifact, out_dir: Path, *, as_json: bool) -> None:
    """Show an exported file and how it was verified."""
    from edgewise.report.ends import ends_sentence

    if as_json:
        print_json({"folder": str(out_dir)} | artifact.model_dump(mode="json"))
        return
    out = console()
    out.print(f"[bold]{plain(out_dir / artifact.files[0])}[/] {format_bytes(artifact.file_bytes)}", soft_wrap=True)
    out.print(ends_sentence(artifact), soft_wrap=True)
    proof = artifact.verification
    if proof is None:
        return
    if proof.kind == "structure" and not proof.checks:
        out.print(STRUCTURE_ONLY)
        return
    table = new_table("inputs", "count>", "max |Δ|>", "max |logit|>", "same top-1>")
    for check in proof.checks:
        table.add_row(
            check.name,
            str(check.num_inputs),
            f"{check.max_abs_diff:.2g}",
            f"{check.max_abs_logit:.3g}",
            format_percent(check.top1_agreement),
        )
    out.print(table)
    accuracy = ""
    if proof.top1_file is not None:
        accuracy = f"; top-1 {format_percent(proof.top1_file)}, the model's is {format_percent(proof.top1_model)}"
    out.print(COMPUTED_BY_TORCH if proof.kind == "structure" else f"verified in {proof.runtime}{accuracy}")
    _say_fall(proof)
    _say_layers(artifact)


def _say_layers(artifact: Artifact) -> None:
    """Show which layers of a file in mixed precision stayed in float."""
    from edgewise.report.mixed import layers_sentence, telling_layers

    if not artifact.layers:
        return
    told = telling_layers(artifact.layers)
    table = new_table("layer", "alone in int8, dB>", "kept in")
    for layer in told:
        table.add_row(plain(layer.name), f"{layer.sqnr_db:.1f}", "float" if layer.in_float else artifact.precision)
    console().print(table)
    rest = len(artifact.layers) - len(told)
    more = f"; the other {rest} are in {artifact.precision}, see artifact.json" if rest else ""
    console().print(f"{layers_sentence(artifact.layers)}{more}", soft_wrap=True)


def _say_fall(proof: VerificationRecord, name: str = "") -> None:
    """Say what a reduced precision costs in top-1, and that a file was kept although it costs too much."""
    from edgewise.report.fall import fall_sentence

    who = f"{name}: " if name else ""
    if proof.paired is not None and proof.max_drop is not None:
        console().print(plain(who + fall_sentence(proof.paired, proof.max_drop)), soft_wrap=True)
    if proof.forced:
        console().print(
            f"[yellow]{plain(who)}kept on demand although it failed:[/] {plain(proof.reason)}", soft_wrap=True
        )


def render_formats(formats: Sequence[FormatSupport], *, as_json: bool) -> None:
    """Show the export formats: what makes them, what runs them, and what they cannot hold."""
    if as_json:
        print_json([asdict(each) for each in formats])
        return
    table = new_table("format", "precisions", "made here with", "run here by", "families")
    for each in formats:
        table.add_row(
            each.format,
            ", ".join(each.precisions),
            each.made_with if each.can_make else f"[yellow]no:[/] {plain(each.made_with)}",
            each.runtime if each.can_run else f"[yellow]no:[/] {each.runtime}",
            f"all but {len(each.exceptions)}" if each.exceptions else "all",
        )
    out = console()
    out.print(table)
    for each in formats:
        for family, why in each.exceptions:
            out.print(f"{each.format} cannot hold {family}: {why}", soft_wrap=True)
        for precision, why in each.left_out:
            out.print(f"{each.format} has no {precision}: {why}", soft_wrap=True)


def render_exports(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """Show what became of each format, with its proof or its reason."""
    if as_json:
        print_json(
            [
                {"format": each.format, "folder": str(each.folder), "reason": each.reason, "wall_s": each.wall_s}
                | {"artifact": each.artifact.model_dump(mode="json") if each.artifact else None}
                for each in outcomes
            ]
        )
        return
    from edgewise.report.mixed import layers_sentence

    table = new_table("format", "file", "size>", "takes", "transposes>", "verified in", "difference>")
    for each in outcomes:
        if each.artifact is not None:
            name = "/".join((each.folder.name, each.artifact.files[0]))
            size = format_bytes(each.artifact.file_bytes)
            table.add_row(each.format, plain(name), size, *_ends(each.artifact), *_proof(each.artifact))
    out = console()
    if table.row_count:
        out.print(table)
        notes().print("difference: the largest of all inputs, as a share of the largest logit", style="dim")
    for each in outcomes:
        if each.artifact is not None and each.artifact.verification is not None:
            _say_fall(each.artifact.verification, each.format)
            if each.artifact.layers:
                out.print(f"{each.format}: {layers_sentence(each.artifact.layers)}", soft_wrap=True)
    proofs = [each.artifact.verification for each in outcomes if each.artifact]
    for proof in proofs:
        if proof is not None and proof.kind == "structure":
            text = f"by operators: {COMPUTED_BY_TORCH}" if proof.checks else f"weights only: {STRUCTURE_ONLY}"
            out.print(text, style="dim", soft_wrap=True)
    for each in outcomes:
        if each.artifact is None:
            what = "not installed" if each.missing else "failed"
            out.print(f"[yellow]{each.format} {what}:[/] {plain(each.reason)}", soft_wrap=True)


def _ends(artifact: Artifact) -> tuple[str, str]:
    """Return what a file takes, and how many operators in it only reorder axes."""
    taken = " ".join((artifact.input.layout, *(["0-255"] if artifact.input.values == "0-255" else [])))
    return taken, "" if artifact.transposes is None else str(artifact.transposes)


def _proof(artifact: Artifact) -> tuple[str, str]:
    proof = artifact.verification
    if proof is None:
        return "", ""
    if proof.kind == "structure":
        return ("by operators", f"{proof.relative_diff or 0:.1g}") if proof.checks else ("weights only", "")
    return proof.runtime, f"{proof.relative_diff or 0:.1g}"


def render_checks(environment: Environment, checks: Sequence[Check], *, as_json: bool) -> None:
    """Show what `doctor` found."""
    if as_json:
        rows = [{"name": c.name, "ok": c.ok, "detail": c.detail, "required": c.required} for c in checks]
        print_json({"environment": environment.model_dump(mode="json"), "checks": rows})
        return
    out = console()
    out.print(
        f"{environment.cpu}, {environment.num_cores} cores, {format_bytes(environment.memory_bytes)}, "
        f"{environment.system}, Python {environment.python}"
    )
    table = new_table("", "what", "found")
    for check in checks:
        mark = "[green]ok[/]" if check.ok else "[red]missing[/]" if check.required else "[yellow]no[/]"
        table.add_row(mark, check.name, plain(check.detail))
    out.print(table)

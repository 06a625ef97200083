"""Which file is named fastest, and what is said of int8."""

from __future__ import annotations

from report_runs import make_file, make_measurement, make_minimal_run

from edgewise.records.paired import PairedTop1
from edgewise.report.ranking import best_file_sentence, fastest_file, rank_files, reduced_sentences

TORCH = make_file("torch", None, 0.98, make_measurement("torch", 3.0, runtime="torch", format="torch"))
FP32 = make_file("fp32.onnx", "fp32", 0.98, make_measurement("fp32", 2.0))


def int8(latency_ms, top1, **changes):
    return make_file("int8.onnx", "int8", top1, make_measurement("int8", latency_ms, precision="int8", **changes))


def test_the_faster_file_within_the_limit_is_best():
    run = make_minimal_run(files=(TORCH, FP32, int8(1.0, 0.975)))
    assert fastest_file(run).name == "int8.onnx"
    assert [file.best for file in rank_files(run)] == [False, False, True]
    assert best_file_sentence(run) == (
        "Fastest file within the accuracy limit: int8.onnx, 1.00 ms for a batch of 1 in onnxruntime with 1 thread."
    )
    assert reduced_sentences(run) == (
        "int8.onnx: 2.00 times faster than fp32.onnx here; "
        "top-1 changes by −0.5 points, within the accepted fall of 1.",
    )


def test_a_fall_of_exactly_the_limit_is_accepted_and_more_is_not():
    assert fastest_file(make_minimal_run(files=(TORCH, FP32, int8(1.0, 0.97)))).name == "int8.onnx"
    run = make_minimal_run(files=(TORCH, FP32, int8(1.0, 0.969)))
    assert fastest_file(run).name == "fp32.onnx"
    assert "top-1 changes by −1.1 points, more than the accepted fall of 1." in reduced_sentences(run)[0]


def judged(**changes):
    """An int8 file that is twice as fast, with a proof that says more."""
    file = int8(1.0, 0.98)
    proof = file.artifact.verification.model_copy(update=changes)
    return file.model_copy(update={"artifact": file.artifact.model_copy(update={"verification": proof})})


def test_the_fall_is_told_with_its_interval():
    paired = PairedTop1.counted(both=970, model_only=10, file_only=5, neither=15)
    run = make_minimal_run(files=(TORCH, FP32, judged(paired=paired)))
    assert "; top-1 changes by −0.50 points on 1,000 images (95 % interval −1.3" in reduced_sentences(run)[0]
    assert "1,000 images are too few to be sure" in reduced_sentences(run)[0]
    assert reduced_sentences(run)[0].endswith("; within the accepted fall of 1.")


def test_a_file_kept_on_demand_is_never_named_fastest():
    run = make_minimal_run(files=(TORCH, FP32, judged(passed=False, forced=True)))
    assert fastest_file(run).name == "fp32.onnx"
    assert "more than the accepted fall of 1." in reduced_sentences(run)[0]


def test_a_slower_int8_file_is_called_slower():
    run = make_minimal_run(files=(TORCH, FP32, int8(3.0, 0.98)))
    assert fastest_file(run).name == "fp32.onnx"
    assert "1.50 times slower than fp32.onnx here; top-1 changes by 0.0 points" in reduced_sentences(run)[0]


def test_overlapping_intervals_are_no_difference():
    run = make_minimal_run(files=(TORCH, FP32, int8(1.97, 0.98)))
    assert "no clear difference in speed to fp32.onnx (the intervals overlap)" in reduced_sentences(run)[0]
    assert "with 1 thread (not clearly faster than fp32.onnx)." in best_file_sentence(run)


def test_noise_is_said():
    run = make_minimal_run(files=(TORCH, FP32, int8(1.0, 0.98, verdict="noisy")))
    assert "2.00 times faster than fp32.onnx here, measured under noise;" in reduced_sentences(run)[0]


def test_rejected_measurements_are_not_ranked():
    run = make_minimal_run(files=(TORCH, FP32, int8(0.1, 0.98, verdict="rejected", reason="drift")))
    assert fastest_file(run).name == "fp32.onnx"
    assert rank_files(run)[2].rejected
    assert "its speed cannot be compared with fp32" in reduced_sentences(run)[0]


def test_other_settings_are_not_compared():
    run = make_minimal_run(files=(TORCH, FP32, int8(0.5, 0.98, threads=4)))
    assert fastest_file(run).name == "fp32.onnx"
    assert "its speed cannot be compared with fp32" in reduced_sentences(run)[0]


def test_without_accuracy_or_measurement_nothing_is_best():
    unknown = make_file("x.onnx", "fp32", None, make_measurement("x", 1.0))
    assert best_file_sentence(make_minimal_run(files=(TORCH, unknown))) == (
        "No measured file keeps within the accuracy limit."
    )
    unmeasured = make_file("x.onnx", "fp32", 0.98, None)
    assert best_file_sentence(make_minimal_run(files=(TORCH, unmeasured))) == (
        "No file has a usable latency measurement, so none is named fastest."
    )

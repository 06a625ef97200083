"""`fit --max-ms` with a calibration against measuring all candidates: the same choice, in what time.

    python benchmarks/fit_by_prediction.py [--runtime onnxruntime] [--models '*'] [--out results/fit_by_prediction.json]

Every candidate with a published accuracy is measured once, as `fit` does it, and the seconds that it took are kept. Then for 20 latency
budgets between the fastest and the slowest one the choice is made twice: among all measured ones, and by this machine's calibration
(`edgewise calibrate`), which measures what the forecast leaves a chance. Both read the same latencies, so that a choice differs for the
forecast's sake alone and not because a second measurement is another one; a latency counts as long as its measuring took.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from result_file import RESULTS, check, save_result, this_command

from edgewise.bench.cache import LatencyCache
from edgewise.pipeline.choose import Budget, choose, matching
from edgewise.pipeline.forecast import Forecast, forecast_for
from edgewise.pipeline.listener import JobListener
from edgewise.records.run import Choice

NUM_BUDGETS = 20
MARGIN = 1.05
"""Above the fastest latency, and above the slowest, where the budgets begin and end."""
WITHOUT_LIMIT = 1e5


class Stopwatch(JobListener):
    """Keeps how long each candidate took, and tells of it."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._begun = 0.0

    def on_progress(self, done: int, total: int) -> None:  # noqa: ARG002
        """Hear that the next candidate begins."""
        self._begun = time.monotonic()

    def on_result(self, text: str) -> None:
        """Hear of a candidate's latency."""
        self.seconds.append(time.monotonic() - self._begun)
        print(text, flush=True)

    def on_message(self, text: str) -> None:
        """Hear why something is not used."""
        print(text, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", default="*", help="patterns of the candidates' names")
    parser.add_argument("--out", type=Path, default=RESULTS / "fit_by_prediction.json")
    given = parser.parse_args()
    watch = Stopwatch()
    forecast = forecast_for(given.runtime, given.threads, watch)
    if forecast is None:
        raise SystemExit(f"{given.runtime} is not calibrated here; run: edgewise calibrate --runtime {given.runtime}")
    with tempfile.TemporaryDirectory(prefix="edgewise-") as temporary:
        cache = LatencyCache(Path(temporary) / "latencies.json")
        names = matching(given.models)
        everything = choose(_budget(given, names, WITHOUT_LIMIT), watch, cache)
        measured = [each for each in everything.candidates if each.latency_ms is not None]
        cost_s = dict(zip((each.name for each in measured), watch.seconds, strict=True))
        latencies = [each.latency_ms for each in measured if each.latency_ms is not None]
        rows = []
        for max_ms in np.geomspace(MARGIN * min(latencies), MARGIN * max(latencies), NUM_BUDGETS):
            budget = _budget(given, names, float(f"{max_ms:.4g}"))
            rows.append(_row(budget, cache, forecast, cost_s))
            print(
                "{max_ms:g} ms: {by_clock}, by forecast {by_forecast}; {clock_s:.1f} s, {forecast_s:.1f} s".format(
                    **rows[-1]
                )
            )
    same = sum(row["by_clock"] == row["by_forecast"] for row in rows)
    share = sum(row["forecast_s"] for row in rows) / sum(row["clock_s"] for row in rows)
    checks = [
        check(f"budgets of {len(rows)} with the same choice", same, len(rows), "", at_least=True),
        check("time with a forecast over that of measuring all", share, 0.2, ""),
    ]
    candidates = [
        {
            "name": each.name,
            "latency_ms": each.latency_ms,
            "published_top1": each.published_top1,
            "seconds": cost_s[each.name],
        }
        for each in measured
    ]
    save_result(given.out, command=this_command(), checks=checks, rows=rows, candidates=candidates)
    raise SystemExit(not all(each["passed"] for each in checks))


def _budget(given: argparse.Namespace, names: tuple[str, ...], max_ms: float) -> Budget:
    return Budget(max_ms=max_ms, runtime=given.runtime, threads=given.threads, num_classes=1000, models=names)


def _row(budget: Budget, cache: LatencyCache, forecast: Forecast, cost_s: dict[str, float]) -> dict[str, object]:
    quiet = JobListener()
    by_clock = choose(budget, quiet, cache)
    begun = time.monotonic()
    by_forecast = choose(budget, quiet, cache, forecast)
    predicting_s = time.monotonic() - begun
    return {
        "max_ms": budget.max_ms,
        "by_clock": _chosen(by_clock),
        "by_forecast": _chosen(by_forecast),
        "num_by_clock": len(_measured(by_clock)),
        "num_by_forecast": len(_measured(by_forecast)),
        "predicting_s": predicting_s,
        "clock_s": sum(cost_s[name] for name in _measured(by_clock)),
        "forecast_s": predicting_s + sum(cost_s[name] for name in _measured(by_forecast)),
    }


def _chosen(choice: Choice) -> str:
    return next(each.name for each in choice.candidates if each.chosen)


def _measured(choice: Choice) -> list[str]:
    return [each.name for each in choice.candidates if each.latency_ms is not None]


if __name__ == "__main__":
    main()

"""How accurate the built-in sources are, measured on a folder of real documents with the truth about them.

    python benchmarks/accuracy.py --corpus DIR [--json FILE] [--only ocr,entities,facts,summaries] [--cache DIR]

DIR holds `manifest.json` and the files it lists. Prints each figure beside its reference and its bound; exits with 1
when a bound is missed. Kinds of documents that the folder lacks are shown with n = 0 and count as not measured.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import inspect
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measures.reading import Readings
from benchmarks.measures.row import Row

MEASURES = ("ocr", "entities", "facts", "summaries")
KEYS = (
    "receipt_cer_ns_median",
    "receipt_fields_f1",
    "contract_fields_f1",
    "invoice_fields_f1",
    "ner_f1",
    "summary_rouge1",
    "fact_macro_f1",
    "seconds_per_page",
)
PACKAGES = ("rapidocr", "onnxruntime", "pypdfium2", "opencv-python-headless", "pillow", "numpy")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write the JSON. Returns 1 if a bound was missed, 0 otherwise."""
    options = _options(arguments)
    one_core()
    readings = Readings(options.cache)
    rows = [row for name in options.only for row in run(name, options.corpus, readings)]
    print(place())
    print(table(rows))
    if options.json is not None:
        values: dict[str, float | None] = dict.fromkeys(KEYS)
        values.update({row.key: round(row.value, 4) for row in rows if row.key in values and row.n > 0})
        options.json.write_text(json.dumps(values, indent=2) + "\n")
    return int(any(not row.ok for row in rows if row.n > 0))


def run(name: str, corpus: Path, readings: Readings) -> list[Row]:
    """One module of measures. It takes the corpus, and the readings if it wants them."""
    measure = importlib.import_module(f"benchmarks.measures.{name}").measure
    wants_readings = len(inspect.signature(measure).parameters) > 1
    rows: list[Row] = measure(corpus, readings) if wants_readings else measure(corpus)
    return rows


def one_core() -> None:
    """Pin this process to one core, so that seconds per page mean the same on every machine."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def place() -> str:
    """Where this was measured."""
    versions = [f"{name} {_version(name)}" for name in PACKAGES]
    cores = os.cpu_count()
    return f"{_processor()}, one of {cores} cores, Python {platform.python_version()}; {', '.join(versions)}"


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text: measure, ours, n, bound, ok, reference, note."""
    head = ("measure", "ours", "n", "bound", "ok", "reference")
    lines = [head]
    for row in rows:
        bounded = row.at_least is not None or row.at_most is not None
        verdict = "-" if row.n == 0 or not bounded else "yes" if row.ok else "NO"
        reference = f"{row.reference} ({row.note})" if row.note else row.reference
        lines.append((row.measure, f"{row.value:.3f}" if row.n else "-", str(row.n), row.bounds, verdict, reference))
    widths = [max(len(line[i]) for line in lines) for i in range(len(head) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]) for line in lines
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder with manifest.json and the files it lists")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--only", default=",".join(MEASURES), help="parts to run, separated by commas")
    parser.add_argument("--cache", type=Path, help="folder that keeps what was read from run to run")
    options = parser.parse_args(arguments)
    options.only = [name.strip() for name in options.only.split(",") if name.strip()]
    unknown = set(options.only) - set(MEASURES)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    if not options.corpus.is_dir():
        parser.error(f"{options.corpus} is not a folder")
    return options


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())

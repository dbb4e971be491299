#!/usr/bin/env python3
"""What `vmwbuild lint` costs, whole process, on one processor, beside BuildKit's parser and linter on a Dockerfile of
the same lines.

    cargo build --profile dist && python3 benches/lint.py target/dist/vmwbuild [--peer PROGRAM]

PROGRAM is made by `cd benches/buildkit && go build -o PROGRAM .`; without it only vmwbuild is measured. Prints the
tables of docs/benchmarks.md. The processor time is what counts: wall time stretches when others use the machine.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 21


def lines(count, docker):
    """Nine instructions of many kinds, again and again: what a large file of that language looks like."""
    out = []
    number = 0
    while len(out) < count:
        number += 1
        if number % 100 == 1:
            out.append(f"FROM debian:12 AS stage{number}" if docker else f"FROM debian-12 AS stage{number}")
        out.append(f"# Part {number}")
        out.append(f"RUN apt-get update && apt-get install -qy --no-install-recommends nginx={number} curl={number}")
        out.append(f"ENV NAME{number}=value{number} OTHER{number}=\"two words\"")
        out.append(f"RUN echo \"$NAME{number}\" > /etc/name{number} && chmod 0644 /etc/name{number}")
        out.append(f"WORKDIR /srv/{number}")
        out.append("RUN set -e; \\")
        out.append(f"    for i in 1 2 3; do echo \"$i\" >> /srv/{number}/list; done; \\")
        out.append(f"    test -s /srv/{number}/list")
        out.append("RUN <<EOF")
        out.append(f"mkdir -p /opt/{number}")
        out.append(f"cp /etc/name{number} /opt/{number}/name")
        out.append("EOF")
        out.append(f"USER user{number % 7}")
        out.append("")
    return "\n".join(out) + "\n"


def measure(command):
    """Medians of wall and processor time, in milliseconds, on one processor."""
    walls, processors = [], []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        child = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "GOMAXPROCS": "1"},
            preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
        )
        _, status, usage = os.wait4(child.pid, 0)
        walls.append(time.perf_counter() - start)
        processors.append(usage.ru_utime + usage.ru_stime)
        # Findings are no failure; not to be read at all would be.
        assert os.waitstatus_to_exitcode(status) in (0, 1), command
    return statistics.median(walls) * 1000, statistics.median(processors) * 1000


def main():
    binary = sys.argv[1]
    peer = sys.argv[sys.argv.index("--peer") + 1] if "--peer" in sys.argv else None
    with tempfile.TemporaryDirectory() as directory:
        def written(name, text):
            path = os.path.join(directory, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return path

        print("| one processor, whole process | wall | processor |\n|---|---:|---:|")

        def row(what, command):
            wall, processor = measure(command)
            print(f"| {what} | {wall:.1f} ms | {processor:.1f} ms |", flush=True)

        row("vmwbuild --help", [binary, "--help"])
        for count in (1000, 10000, 20000, 40000):
            path = written(f"{count}.vmwfile", lines(count, docker=False))
            lint = [binary, "lint", "--warn", "all", "--format", "concise", path]
            row(f"vmwbuild lint, all lints, {count} lines", lint)
        row("vmwbuild lint as it is set, 10000 lines", [binary, "lint", os.path.join(directory, "10000.vmwfile")])
        row("vmwbuild fmt --check, 10000 lines", [binary, "fmt", "--check", os.path.join(directory, "10000.vmwfile")])
        if peer:
            row("BuildKit's parser, instructions and linter, 10000 lines", [peer, written("Dockerfile", lines(10000, docker=True))])


if __name__ == "__main__":
    main()

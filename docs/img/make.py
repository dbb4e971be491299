#!/usr/bin/env python3
"""Makes docs/img/cluster.svg: what a terminal shows while `examples/cluster` is built, and after.

    docs/img/make.py path/to/vmwbuild

runs the build in tmux, captures its pane with colours as it changes, and draws each state as SVG, one after another as
they came. Who wants no motion sees the end. Needs tmux.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from unicodedata import east_asian_width
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COLUMNS, ROWS = 88, 24
# How long the end stays before it begins anew, and the shortest time between two states, in seconds.
REST, APART = 6.0, 0.2
COMMAND = "vmwbuild build --sandbox examples/cluster"

# Sizes in pixels, colours of a dark terminal.
CELL, LINE, FONT, MARGIN, BAR = 8.4, 19, 14, 16, 30
BACKGROUND, FRAME, TEXT, DIM = "#16181d", "#2b2f38", "#d7dae0", "#7d8590"
COLOURS = {31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#56d4dd"}


def tmux(*arguments):
    done = subprocess.run(["tmux", "-L", "vmwbuild-picture", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def capture(binary):
    """The pane's states while the build runs, each with the time it came at; with escape sequences."""
    shell = f"env LC_ALL=C.UTF-8 PS1='$ ' PATH={binary.parent}:{os.environ['PATH']} TERM=screen-256color bash --norc"
    tmux("-f", "/dev/null", "new-session", "-d", "-s", "p", "-x", str(COLUMNS), "-y", str(ROWS), "-c", str(ROOT), shell)
    try:
        until(lambda text: "$" in text)
        tmux("send-keys", "-t", "p", f"clear; {COMMAND}", "Enter")
        until(lambda text: "connected" in text)
        began, states = time.monotonic(), []
        while True:
            text = tmux("capture-pane", "-t", "p", "-p", "-e")
            at = time.monotonic() - began
            if not states or states[-1][1] != text:
                states.append((at, text))
            plain = tmux("capture-pane", "-t", "p", "-p")
            if "VM cluster-worker-03" in plain and plain.rstrip().endswith("$"):
                return [*states, (at, tmux("capture-pane", "-t", "p", "-p", "-e"))]
            if at > 120:
                sys.exit("the build did not end:\n" + plain)
            time.sleep(APART)
    finally:
        tmux("kill-server")


def until(condition):
    deadline = time.monotonic() + 60
    while not condition(tmux("capture-pane", "-t", "p", "-p")):
        if time.monotonic() > deadline:
            sys.exit("the build did not end:\n" + tmux("capture-pane", "-t", "p", "-p"))
        time.sleep(0.05)


def runs(text):
    """Lines of (column, text, style); a style lasts until the next escape sequence, also over a line's end."""
    style = {}
    for line in text.rstrip("\n").split("\n"):
        parts, column = [], 0
        for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
            sequence = re.fullmatch(r"\x1b\[([0-9;]*)m", piece)
            if sequence:
                style = changed(style, [int(n or 0) for n in sequence[1].split(";")])
            elif piece:
                parts.append((column, piece, style))
                column += sum(2 if east_asian_width(c) in "WF" else 1 for c in piece)
        yield parts


def changed(style, codes):
    style = dict(style)
    for code in codes:
        if code == 0:
            style = {}
        elif code == 1:
            style["bold"] = True
        elif code == 2:
            style["dim"] = True
        elif code == 22:
            style.pop("bold", None), style.pop("dim", None)
        elif code == 39:
            style.pop("colour", None)
        elif code in COLOURS:
            style["colour"] = COLOURS[code]
    return style


def span(column, text, style):
    blanks = len(text) - len(text.lstrip(" "))
    text = text.strip(" ")
    if not text:
        return ""
    fill = style.get("colour") or (DIM if style.get("dim") else "")
    attributes = f' x="{MARGIN + (column + blanks) * CELL:.1f}"'
    attributes += f' fill="{fill}"' if fill else ""
    attributes += ' font-weight="bold"' if style.get("bold") else ""
    # Each word stands where its column is, whatever the width of the reader's font.
    attributes += f' textLength="{len(text) * CELL:.1f}" lengthAdjust="spacingAndGlyphs"'
    return f"<tspan{attributes}>{escape(text)}</tspan>"


def draw(states):
    """SVG of all states; each is there from its time to the next one's."""
    height = BAR + max(len(lines) for _, lines in states) * LINE + MARGIN
    width = COLUMNS * CELL + 2 * MARGIN
    whole = states[-1][0] + REST
    style = ["g.s { visibility: hidden } g.s:last-of-type { visibility: visible }", "@media (prefers-reduced-motion: no-preference) {"]
    for number, (at, _) in enumerate(states):
        begin = at / whole * 100 if number else 0
        end = states[number + 1][0] / whole * 100 if number + 1 < len(states) else 100
        shown = f"{begin:.2f}%, {end:.2f}% {{ visibility: visible }}"
        before = f"0%, {max(begin - 0.01, 0):.2f}% {{ visibility: hidden }} " if begin else ""
        after = f" {end + 0.01:.2f}%, 100% {{ visibility: hidden }}" if end < 100 else ""
        style.append(f"@keyframes s{number} {{ {before}{shown}{after} }}")
        style.append(f"g.s#s{number} {{ animation: s{number} {whole:.1f}s step-end infinite }}")
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
        f'viewBox="0 0 {width:.0f} {height}" role="img" aria-label="{COMMAND}">',
        "<style>" + "\n".join([*style, "}"]) + "</style>",
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        f'<path d="M0 {BAR - 6}V8a8 8 0 0 1 8-8H{width - 8:.0f}a8 8 0 0 1 8 8V{BAR - 6}Z" fill="{FRAME}"/>',
    ]
    for place, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
        out.append(f'<circle cx="{18 + place * 18}" cy="12" r="5" fill="{colour}"/>')
    out.append(
        f'<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" '
        f'font-size="{FONT}" fill="{TEXT}" xml:space="preserve">'
    )
    for state, (_, lines) in enumerate(states):
        out.append(f'<g class="s" id="s{state}">')
        for number, parts in enumerate(lines):
            spans = "".join(span(*part) for part in parts)
            if spans:
                out.append(f'<text y="{BAR + (number + 1) * LINE - 6}">{spans}</text>')
        out.append("</g>")
    out += ["</g>", "</svg>", ""]
    return "\n".join(out)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    # The command as it was typed at the prompt.
    typed = [(0, "$", {"dim": True}), (2, COMMAND, {"bold": True})]
    states = []
    for at, text in capture(Path(sys.argv[1]).resolve()):
        # The prompt that waits for the next command is left out, as is the place of the one that was cleared away.
        text = "\n".join(line for line in text.rstrip().split("\n") if line.strip() != "$")
        states.append((at, [typed, *runs(text)]))
    (HERE / "cluster.svg").write_text(draw(states))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A terminal session on standard input, with its colours, becomes an SVG picture on standard output.

Lines that begin with "$ " are commands. Only the colours that the pipes print are known (SGR 30 to 37 and 0), and lines
of a diff are coloured by their first character.
"""

import html
import re
import sys

WIDTH, LINE, SIDE, TOP = 8.4, 19, 18, 46
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "34": "#79c0ff", "36": "#76e3ea", "37": "#8b949e"}
BY_START = {"$": "#ffffff", "+": "#7ee787", "-": "#ff7b72", "@": "#76e3ea", "✔": "#7ee787", "✖": "#ff7b72"}
PLAIN = "#c9d1d9"
LONGEST = 120


def spans(line):
    """Pieces of a line with their colours."""
    colour = BY_START.get(line[:1], PLAIN)
    for number, piece in enumerate(re.split(r"\x1b\[([0-9;]*)m", line)):
        if number % 2:
            colour = COLOURS.get(piece, PLAIN)
        elif piece:
            yield colour, piece


def cut(line):
    """Columns 1 to LONGEST, with a mark where more follows."""
    bare = re.sub(r"\x1b\[[0-9;]*m", "", line)
    return line if len(bare) <= LONGEST else bare[: LONGEST - 1] + "…"


lines = [cut(line.rstrip()) for line in sys.stdin.read().rstrip("\n").split("\n")]
columns = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines)
width, height = round(columns * WIDTH + 2 * SIDE), TOP + LINE * len(lines) + 8
print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="oidc-migrate in a terminal">')
print(f'  <rect width="{width}" height="{height}" rx="10" fill="#0d1117"/>')
for place, colour in enumerate(("#ff5f56", "#ffbd2e", "#27c93f")):
    print(f'  <circle cx="{SIDE + 4 + 20 * place}" cy="20" r="6" fill="{colour}"/>')
print('  <g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14" xml:space="preserve">')
for number, line in enumerate(lines):
    pieces = "".join(f'<tspan fill="{colour}">{html.escape(piece)}</tspan>' for colour, piece in spans(line))
    if pieces:
        print(f'    <text x="{SIDE}" y="{TOP + LINE * number}">{pieces}</text>')
print("  </g>\n</svg>")

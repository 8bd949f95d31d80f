# SPDX-License-Identifier: BSD-3-Clause
"""Line charts as SVG, by the standard library: for the makers of this folder."""
import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 380, 70, 190, 40, 50
COLOURS = ("#2166ac", "#b35806", "#1b7837", "#5e3c99", "#b2182b", "#444444", "#35978f", "#c51b7d")


def text(x, y, words, anchor="start", colour="#333", size=13):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" '
            f'font-size="{size}">{words}</text>')


def line(x1, y1, x2, y2, colour="#ddd"):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def polyline(points, colour, dash=""):
    along = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{along}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'


def head(width, height):
    return [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif">', '<rect width="100%" height="100%" fill="white"/>']


def marks(ceiling):
    """Values for at most eight lines from 0 to the ceiling, at steps of 1, 2 or 5."""
    step = 10 ** math.floor(math.log10(ceiling / 4))
    step *= next(s for s in (1, 2, 5, 10) if ceiling / (step * s) <= 8)
    return [step * n for n in range(int(ceiling / step) + 1)]


def chart(title, x_title, x_labels, curves):
    """`x_labels`: one for each point, evenly spaced. `curves`: (label, values, None where there is
    none); a label that begins with a space is dashed."""
    ceiling = 1.08 * max(v for _, values in curves for v in values if v is not None)

    def x(n):
        return LEFT + n * (WIDTH - LEFT - RIGHT) / max(1, len(x_labels) - 1)

    def y(value):
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / ceiling)
    out = head(WIDTH, HEIGHT) + [text(LEFT, TOP - 14, title, size=14)]
    for mark in marks(ceiling):
        out += [line(LEFT, y(mark), WIDTH - RIGHT, y(mark)),
                text(LEFT - 6, y(mark) + 4, f"{mark:,g}", "end", size=11)]
    for n, label in enumerate(x_labels):
        out += [line(x(n), HEIGHT - BOTTOM, x(n), HEIGHT - BOTTOM + 5, "#888"),
                text(x(n), HEIGHT - BOTTOM + 19, label, "middle", size=11)]
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_title, "middle"))
    for number, (label, values) in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        dash = ' stroke-dasharray="6 4"' if label.startswith(" ") else ""
        out += [polyline([(x(n), y(v)) for n, v in enumerate(values) if v is not None], colour, dash),
                text(WIDTH - RIGHT + 10, TOP + 14 + 20 * number, label.strip(), colour=colour)]
    return "\n".join(out + ["</svg>"]) + "\n"

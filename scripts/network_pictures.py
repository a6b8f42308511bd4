"""Draw a diagram of every network for docs/networks.md::

    python -m scripts.network_pictures

Each convolution is a bar, from left to right in the order of computation: its row shows the resolution of its output,
its height the logarithm of its channels, and its colour its kind.  The diagrams are generated from the networks, so
they always match the code.
"""

from __future__ import annotations

import argparse
import sys
from html import escape
from itertools import groupby

from aaff.files import write_text
from aaff.networks.complexity import Layer, count
from aaff.preprocess import Size
from scripts.network_counts import own_networks
from scripts.tables import ROOT

FOLDER = ROOT / "docs" / "images" / "networks"
SIDE = 512
"""Side of the square frame that layers are placed by; its strides are exact."""
COLOURS = {
    "3×3 and larger": "#4477aa",
    "1×1": "#ccbb44",
    "depthwise": "#228833",
    "dilated": "#aa3377",
    "transposed": "#ee6677",
}
WIDTH = 700
"""Of the bars of a deep network, whose steps are narrower; pages are about as wide."""
BAND, WIDEST, NARROWEST, LEFT = 28, 8, 4, 50
LETTER, SLANT = 5.6, 0.6
"""Mean width of a letter, and the sine and about the cosine of the slant of the names."""


def draw(name: str) -> str:
    """The picture of one network as SVG."""
    layers = [layer for layer in count(name, 11, Size(SIDE, SIDE)).layers if layer.macs]
    groups = [(part, list(members)) for part, members in groupby(layers, key=lambda layer: layer.name.split(".")[0])]
    bands = sorted({_band(layer) for layer in layers})
    step = min(WIDEST, max(NARROWEST, WIDTH // len(layers)))
    head = round(16 + SLANT * LETTER * max(len(part) for part, _ in groups))
    row = {band: head + BAND * (index + 1) for index, band in enumerate(bands)}
    bottom = head + BAND * len(bands)
    parts: list[str] = []
    x = LEFT
    for index, (part, members) in enumerate(groups):
        width = max(step * len(members), 17)
        shade = "#f2f2f2" if index % 2 else "#ffffff"
        parts.append(f'<rect x="{x}" y="{head}" width="{width}" height="{bottom - head}" fill="{shade}"/>')
        start = f"{x + min(width / 2, 12):g},{head - 4}"
        parts.append(f'<text transform="translate({start}) rotate(-38)">{escape(part)}</text>')
        for number, layer in enumerate(members):
            # 4 to 24 pixels for 1 to 4096 channels
            height = min(24, 4 + 5 * max(0, len(f"{layer.output[0]:b}") - 1) / 3)
            parts.append(
                f'<rect x="{x + step * number + 1}" y="{row[_band(layer)] - height:g}" width="{step - 1}" '
                f'height="{height:g}" fill="{COLOURS[_kind(layer)]}">'
                f"<title>{escape(f'{layer.name}: {layer.kind}, {layer.output[0]}')} channels</title></rect>"
            )
        x += width + 4
    for band in bands:
        label = "pooled" if band > 9 else f"1/{2**band}"
        parts.append(f'<text x="{LEFT - 6}" y="{row[band] - 4}" text-anchor="end">{label}</text>')
        parts.append(
            f'<line x1="{LEFT}" y1="{row[band]}" x2="{x}" y2="{row[band]}" stroke="#bbbbbb" stroke-width="0.5"/>'
        )
    place = LEFT
    for kind in COLOURS:
        if any(_kind(layer) == kind for layer in layers):
            parts.append(f'<rect x="{place}" y="{bottom + 12}" width="10" height="10" fill="{COLOURS[kind]}"/>')
            parts.append(f'<text x="{place + 14}" y="{bottom + 21}">{kind}</text>')
            place += round(14 + 16 + LETTER * len(kind))
    overhang = round(LETTER * len(groups[-1][0]))  # of the last name
    width, height = max(x + overhang, place), bottom + 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="11"><title>Structure of {name}</title>'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _band(layer: Layer) -> int:
    """The power of two of the stride; 10 for a globally pooled map."""
    rows = layer.output[1]
    return 10 if layer.output[1:] == (1, 1) else (SIDE // max(1, rows)).bit_length() - 1


def _kind(layer: Layer) -> str:
    if layer.kind.startswith(("depthwise", "transposed")):
        return layer.kind.split()[0]
    if "dilation" in layer.kind:
        return "dilated"
    return "1×1" if "1×1" in layer.kind else "3×3 and larger"


def main() -> int:
    """Write one picture for each network."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name in own_networks():
        write_text(FOLDER / f"{name}.svg", draw(name))
        print(f"written: {(FOLDER / name).relative_to(ROOT)}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())

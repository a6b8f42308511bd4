"""A picture of the structure of every network, for docs/networks.md::

    python -m scripts.network_pictures

Each convolution is a bar, in the order in which it is computed: at the height of its resolution, as tall as it has
channels, in the colour of its kind.  Nothing is drawn by hand, so a picture cannot differ from the code.
"""

from __future__ import annotations

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
BAND, STEP, BAR, LEFT, TOP = 26, 7, 5, 52, 34


def draw(name: str) -> str:
    """The picture of one network as SVG."""
    layers = [layer for layer in count(name, 11, Size(SIDE, SIDE)).layers if layer.macs]
    bands = sorted({_band(layer) for layer in layers})
    top = {band: TOP + index * BAND for index, band in enumerate(bands)}
    bottom = TOP + BAND * len(bands)
    parts: list[str] = []
    x = LEFT
    for index, (part, group) in enumerate(groupby(layers, key=lambda layer: layer.name.split(".")[0])):
        members = list(group)
        width = max(STEP * len(members), 2 + 5.4 * len(part))
        shade = "#f2f2f2" if index % 2 else "#ffffff"
        parts.append(f'<rect x="{x}" y="{TOP}" width="{width:g}" height="{bottom - TOP}" fill="{shade}"/>')
        parts.append(f'<text x="{x + 2}" y="{TOP - 6}">{escape(part)}</text>')
        for number, layer in enumerate(members):
            # 4 to 24 pixels for 1 to 4096 channels
            height = min(24, 4 + 5 * max(0, len(f"{layer.output[0]:b}") - 1) / 3)
            y = top[_band(layer)] + BAND - height
            parts.append(
                f'<rect x="{x + STEP * number + 1}" y="{y:g}" width="{BAR}" height="{height:g}" '
                f'fill="{COLOURS[_kind(layer)]}"><title>{escape(f"{layer.name}: {layer.kind}, {layer.output[0]}")}'
                f" channels</title></rect>"
            )
        x += round(width) + 3
    for band in bands:
        label = "pooled" if band > 9 else f"1/{2**band}" if band else "1/1"
        parts.append(f'<text x="{LEFT - 6}" y="{top[band] + BAND - 3}" text-anchor="end">{label}</text>')
        y = top[band] + BAND
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{x}" y2="{y}" stroke="#bbbbbb" stroke-width="0.5"/>')
    legend, place = [], LEFT
    for kind in COLOURS:
        if any(_kind(layer) == kind for layer in layers):
            legend.append(f'<rect x="{place}" y="{bottom + 10}" width="9" height="9" fill="{COLOURS[kind]}"/>')
            legend.append(f'<text x="{place + 13}" y="{bottom + 18}">{kind}</text>')
            place += 13 + 8 * len(kind)
    width, height = max(x, place) + 8, bottom + 28
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="9"><title>Structure of {name}</title>'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n' + "\n".join([*parts, *legend]) + "\n</svg>\n"
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
    for name in own_networks():
        write_text(FOLDER / f"{name}.svg", draw(name))
        print(f"written: {(FOLDER / name).relative_to(ROOT)}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())

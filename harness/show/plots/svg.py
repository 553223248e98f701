"""Figures as bytes: inline SVG for a page, SVG, PNG and PDF files. The same figure always gives the same bytes."""

import re
from html import escape
from io import BytesIO
from typing import Any, Literal, TypeAlias

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from harness.show.plots.theme import INK, RC, label, themed

_FIXED: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bitbench",
    "pdf.fonttype": 42,
    "path.simplify_threshold": 0.5,
}
"""Text stays text, and the ids of clip paths come from their content instead of a random seed."""

Kind: TypeAlias = Literal["svg", "png", "pdf"]
_TRACES: dict[Kind, tuple[str, ...]] = {
    "svg": ("Date", "Creator"),
    "png": ("Software",),
    "pdf": ("CreationDate", "Creator", "Producer"),
}
"""What matplotlib would write of when and by which version a file was made."""

_STRIP = (
    re.compile(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->|<!DOCTYPE.*?>|<\?xml.*?\?>", re.S),
    re.compile(r' id="[a-zA-Z0-9.]+_\d+"'),  # nothing refers to these, and every figure has them
    re.compile(r' transform="rotate\(-?0 [^)]*\)"'),
    re.compile(r"font-family: [^;\"]*; ?"),  # the page's own
)
_GEOMETRY = re.compile(r' (?:d|x|y|transform|points)="[^"]*"')
_ID = re.compile(r'( id="|url\(#|href="#)')
_LONG_FRACTION = re.compile(r"(\.\d\d)\d+")


@themed
def inline(figure: Figure, name: str) -> str:
    """An `<svg>` element for an HTML page, without a drawn title; ids begin with `name`, text has the page's colour.

    Title and description for screen readers are the figure's suptitle and label (see `theme.label`).
    """
    title, caption = figure.get_suptitle(), str(figure.get_label())
    figure.suptitle("")
    text = render(figure, "svg").decode()
    label(figure, title, caption)
    for pattern in _STRIP:
        text = pattern.sub("", text)
    text = _ID.sub(rf"\1{name}-", text)
    text = _GEOMETRY.sub(lambda found: _LONG_FRACTION.sub(r"\1", found[0]), text)
    text = re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", text)).strip().replace(INK, "currentColor")
    opening, rest = text.split(">", 1)
    labels = f'role="img" aria-labelledby="{name}-title {name}-desc"'
    head = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(caption)}</desc>'
    return f"{opening} {labels}>{head}{rest}"


def render(figure: Figure, kind: Kind) -> bytes:
    """The figure as a file of this kind. Bitmaps are on white, 160 dots an inch; the others let the paper through."""
    buffer = BytesIO()
    undated, dpi = dict.fromkeys(_TRACES[kind]), figure.dpi
    settings: dict[str, Any] = {**RC, **_FIXED}
    with matplotlib.rc_context(settings):  # type: ignore[arg-type]  # the stubs want literal keys
        if kind == "svg":
            # `savefig` would draw all of it once more before, to have it laid out.
            canvas: Any = FigureCanvasSVG(figure)
            canvas.print_svg(buffer, metadata=undated)
            figure.dpi = dpi
        else:
            face = "white" if kind == "png" else "none"
            figure.savefig(buffer, format=kind, dpi=160, metadata=undated, facecolor=face)
    return buffer.getvalue()

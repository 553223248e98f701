"""The site: `make docs` builds it into build/site, and fails where a link, an anchor or an outside host is wrong."""

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

project = "bitlinear-bench"
copyright = "the authors of bitlinear-bench"  # noqa: A001 - the name that Sphinx reads
extensions = ["myst_parser"]
root_doc = "docs/index"

# The source is the whole repository, so that a link of a page to a result, to a file of code or to README is one that
# works there, too, and is checked.
include_patterns = ["*.md", "docs/*.md", "docs/**/*.md", "results/*.md"]
exclude_patterns = [".venv", ".git", "build"]

myst_heading_anchors = 3
myst_heading_slug_func = "github"
smartquotes = False  # they would make one dash of the two of an option
highlight_language = "text"
html_theme = "sphinx_book_theme"
html_title = project
html_extra_path = ["site"]
html_copy_source = False
html_use_index = False
html_static_path: list[str] = []
html_theme_options = {"show_prev_next": False, "use_download_button": False}

LOADED = re.compile(
    r"""<(?:link|script|img|iframe|source)\b[^>]*?(?:href|src)=["'](?:https?:)?//|url\(["']?(?:https?:)?//"""
)
"""What a browser would fetch from another host."""


def _refuse_other_hosts(app: Sphinx, _: Exception | None) -> None:
    built = [path for kind in ("html", "css") for path in Path(app.outdir).rglob(f"*.{kind}")]
    for path in built:
        if LOADED.search(path.read_text()):
            logging.getLogger(__name__).warning("%s loads something from another host", path.relative_to(app.outdir))


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("build-finished", _refuse_other_hosts)

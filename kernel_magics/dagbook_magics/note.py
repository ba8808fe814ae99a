"""A quiet note below a cell: HTML for notebooks of any theme, and the same as text.

Colours are the page's own, so that it reads in light, dark and high contrast alike.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

_STYLE = (
    "border-left:3px solid currentColor;padding:2px 0 2px 10px;margin:4px 0;opacity:.85;"
    "font-size:.92em;line-height:1.45;max-width:100%;overflow-x:auto"
)
_CELL = "padding:1px 14px 1px 0;text-align:left;vertical-align:top;border:0;background:none"


class Row(NamedTuple):
    """One line of a table; the first cell is a name."""

    cells: tuple[str, ...]


class Note:
    """A sentence, with a table or a preview below it where there is one.

    Args:
        title: the sentence.
        rows: a table; columns that are empty in every row are left out.
        text: a preview as text.
        html: the same as HTML, of an object that shows itself so.
        is_warning: whether the reader should do something about it.
        links: texts in the title or the table that lead somewhere: files, addresses.
        folder: what links to files are relative to, in a page.
        is_folded: whether the preview is unfolded only by whoever wants to see it.
    """

    def __init__(
        self,
        title: str,
        rows: Sequence[Row] = (),
        *,
        text: str = "",
        html: str | None = None,
        is_warning: bool = False,
        links: Sequence[str] = (),
        folder: Path | None = None,
        is_folded: bool = False,
    ) -> None:
        self.title = title
        self.rows = list(rows)
        self.text = text
        self.html = html
        self.is_warning = is_warning
        self.links = [link for link in links if link]
        self.folder = folder
        self.is_folded = is_folded

    def bundle(self, more: Sequence[Note] = ()) -> dict[str, Any]:
        """It, and others below it, as a MIME bundle of one output."""
        notes = [self, *more]
        return {
            "text/plain": "\n".join(note.as_text() for note in notes),
            "text/html": "".join(note.as_html() for note in notes),
        }

    def as_text(self) -> str:
        """For a terminal, and for whoever shows no HTML."""
        mark = "! " if self.is_warning else ""
        lines = [f"{mark}{self.title}"]
        columns = self._columns()
        widths = [max(len(row.cells[at]) for row in self._full()) for at in columns]
        for row in self._full():
            cells = [row.cells[at].ljust(width) for at, width in zip(columns, widths, strict=True)]
            lines.append(f"  {'  '.join(cells)}".rstrip())
        lines += [f"  {line}" for line in self.text.split("\n") if self.text]
        return "\n".join(lines)

    def as_html(self) -> str:
        """For a notebook."""
        # The word and not the colour alone says that it is a warning.
        mark = "<strong>⚠ </strong>" if self.is_warning else ""
        parts = [f"<div>{mark}{self._linked(marked(self.title))}</div>"]
        columns = self._columns()
        if self.rows:
            body = "".join(
                "<tr>" + "".join(self._cell(row.cells[at], at == 0) for at in columns) + "</tr>"
                for row in self._full()
            )
            parts.append(
                f'<table style="border-collapse:collapse;border:0;margin:2px 0">{body}</table>'
            )
        if self.html is not None:
            parts.append(f"<div>{self.html}</div>")
        elif self.text:
            pre = (
                '<pre style="margin:2px 0;white-space:pre-wrap;background:none;color:inherit">'
                f"{escape(self.text)}</pre>"
            )
            folded = f"<details><summary>YAML</summary>{pre}</details>"
            parts.append(folded if self.is_folded else pre)
        role = ' role="status"' if self.is_warning else ""
        return f'<div class="dagbook-note"{role} style="{_STYLE}">{"".join(parts)}</div>'

    def _cell(self, text: str, is_name: bool) -> str:
        shown = self._linked(escape(text))
        if is_name:
            return f'<th scope="row" style="{_CELL};font-weight:600"><code>{shown}</code></th>'
        return f'<td style="{_CELL}">{shown}</td>'

    def _linked(self, html: str) -> str:
        for link in self.links:
            target, words = link, link
            if "://" not in link:
                # JupyterLab opens a file named relative to the notebook.
                folder = self.folder or Path(link).parent
                target = quote(os.path.relpath(link, folder))
                words = Path(link).name
            anchor = f'<a href="{escape(target)}" target="_blank">{escape(words)}</a>'
            html = html.replace(escape(link), anchor)
        return html

    def _full(self) -> list[Row]:
        most = max((len(row.cells) for row in self.rows), default=0)
        return [Row(row.cells + ("",) * (most - len(row.cells))) for row in self.rows]

    def _columns(self) -> list[int]:
        rows = self._full()
        if not rows:
            return []
        return [at for at in range(len(rows[0].cells)) if any(row.cells[at] for row in rows)]


def marked(text: str) -> str:
    """HTML of a sentence in which code stands between backquotes."""
    parts = escape(text).split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return "".join(
        f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts)
    )

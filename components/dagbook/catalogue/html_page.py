"""One component's page of the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from dagbook.catalogue.attributes import Attribute
from dagbook.catalogue.entries import Entry
from dagbook.catalogue.pages import Description

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'self' file:; script-src 'self' file:">
<title>{title}</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<a class="skip" href="#content">To the content</a>
<main id="content">
"""


def shell(title: str, body: str, *, script: str | None = None) -> str:
    """A whole page around its content."""
    tail = f'<script src="{script}"></script>\n' if script else ""
    return f"{_HEAD.format(title=title)}{body}\n</main>\n{tail}</body>\n</html>\n"


def page_name(entry: Entry) -> str:
    """The file of a component's page. Names of components are Python's, so they are file names."""
    return f"{entry.name}.html"


def component_page(found: Description) -> str:
    """The page of one component."""
    name = escape(found.entry.name)
    parts = [
        '<p><a href="index.html">All components</a></p>',
        f"<h1>{_breakable(name)}</h1>",
        f'<p class="faint">{" · ".join(map(escape, _facts(found)))}</p>',
    ]
    if not found.allowed:
        ask = f": ask {escape(found.platform.contact)}" if found.platform.contact else ""
        parts.append(f'<p class="warn">The platform file does not allow it{ask}.</p>')
    parts.append(_markdown(found.entry.description))
    if found.example is not None:
        parts.append("<h2>Example</h2>")
        parts.append(f'<pre tabindex="0"><code>{escape(found.example)}</code></pre>')
    for title, attributes in (("Required", found.required), ("Optional", found.optional)):
        if attributes:
            parts.append(f"<h2>{title}</h2>\n{_table(attributes)}")
    parts.append(f"<h2>Policy</h2>\n<p>{_policy(found)}</p>")
    if found.changelog is not None:
        parts.append(f"<h2>Changelog of {escape(found.entry.package.label)}</h2>")
        parts.append(_markdown(found.changelog, below=2))
    return shell(name, "\n".join(parts))


def _facts(found: Description) -> Iterator[str]:
    yield found.entry.package.label
    if found.schema_version is not None and found.schema_version > 1:
        older = ", ".join(map(str, found.older_versions))
        yield f"schema version {found.schema_version}" + (f", also reads {older}" if older else "")
    if found.notebooks is not None:
        yield f"used by {found.notebooks} {'notebook' if found.notebooks == 1 else 'notebooks'}"


def _policy(found: Description) -> str:
    platform = found.platform
    if platform.file is None:
        return "As built in: there is no platform file."
    return f"<code>{escape(platform.file.name)}</code>, version <code>{platform.version}</code>."


def _table(attributes: Iterable[Attribute]) -> str:
    rows = "\n".join(_rows(attributes, ""))
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Attributes"><table>\n'
        '<thead><tr><th scope="col">Attribute</th><th scope="col">What it says</th>'
        '<th scope="col">Default</th></tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _rows(attributes: Iterable[Attribute], prefix: str) -> Iterator[str]:
    for attribute in attributes:
        name = f"{prefix}{attribute.name}"
        said = [f"<p>{_inline(attribute.description)}</p>"] if attribute.description else []
        if attribute.allowed:
            items = "".join(f"<li>{escape(choice)}</li>" for choice in attribute.allowed)
            said.append(f"<ul>{items}</ul>")
        said += [f'<p class="warn">{escape(line)}</p>' for line in attribute.policy]
        if attribute.default is not None:
            default = f"<code>{escape(attribute.default)}</code>"
        else:
            default = "required" if attribute.required else ""
        inner = ' class="inner"' if prefix else ""
        yield (
            f"<tr{inner}><td><code>{_breakable(escape(name))}</code><br>"
            f'<span class="faint">{escape(attribute.kind)}</span></td>'
            f"<td>{''.join(said)}</td><td>{default}</td></tr>"
        )
        yield from _rows(attribute.keys, f"{name}.")


def _breakable(name: str) -> str:
    # On a narrow screen a name in dotted parts goes on in the next line.
    return name.replace(".", ".<wbr>")


def _inline(text: str) -> str:
    # Descriptions name keys in backticks and use nothing else of Markdown.
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))


def _markdown(text: str, *, below: int = 0) -> str:
    """Markdown as HTML; HTML within it is shown as text. Headings begin below a level."""
    from mistune import HTMLRenderer, create_markdown

    class Renderer(HTMLRenderer):
        def heading(self, text: str, level: int, **attrs: object) -> str:
            return str(super().heading(text, min(level + below, 6)))

        def link(self, text: str, url: str, title: str | None = None) -> str:
            # One that leads into the package's own repository leads nowhere from here.
            is_whole = url.startswith(("https://", "http://", "mailto:"))
            return str(super().link(text, url, title)) if is_whole else text

        def image(self, text: str, url: str, title: str | None = None) -> str:
            return text  # the pages load nothing from elsewhere

    rendered = create_markdown(renderer=Renderer(escape=True))(text)
    return str(rendered)

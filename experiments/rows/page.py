"""A report's Markdown as one page of HTML: complete in itself, without scripts or requests.

Reports are written as Markdown, in the few forms that :func:`page` knows, and this is its reader:
both files say the same because one is made from the other.  Evidence, that is sections with tables
or figures after the first, is folded.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from looprate.experiments.rows.formula import mathml
from looprate.theory.outputs import write_atomically

__all__ = ["write_page"]

HEADING = re.compile(r"(#{1,5}) (.+)")
FIGURE = re.compile(r"!\[(.*)\]\(([^()]+)\)")
INLINE = re.compile(
    r"`(?P<code>[^`]+)`|\$(?P<formula>[^$]+)\$|\*\*(?P<strong>[^*]+)\*\*|\*(?P<em>[^*\s](?:[^*]*[^*\s])?)\*"
    r"|\[(?P<words>[^\]]+)\]\((?P<address>[^()\s]+)\)"
)
CELL = re.compile(r"(?<!\\)\|")
LINK = re.compile(r"[A-Za-z0-9_./#=+~,%-]+|https://[A-Za-z0-9_./#-]+")
STYLE = """\
:root { color-scheme: light dark; --text: #1a1c1f; --soft: #5b626b; --line: #d9dde2;
  --page: #fff; --raised: #f5f6f8; --accent: #00639c; --bad: #a3271f }
@media (prefers-color-scheme: dark) { :root { --text: #e4e6e9; --soft: #a2a9b2; --line: #3a4047;
  --page: #16181b; --raised: #202327; --accent: #7cc0f0; --bad: #ff9b91 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 2rem 1.2rem 4rem; max-width: 62rem; background: var(--page);
  color: var(--text); font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: break-word }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 1rem }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 2.4rem 0 .6rem }
h3, summary { font-size: 1.05rem; font-weight: 600; line-height: 1.4 }
h2 code, summary code { font-size: .9em }
a { color: var(--accent) }
p, ol, ul { margin: .7rem 0; max-width: 46rem }
li { margin: .45rem 0 }
code { font: .88em ui-monospace, "DejaVu Sans Mono", Menlo, monospace; overflow-wrap: anywhere }
math { font-size: 1.05em; overflow: auto hidden; padding-block: .1em; max-width: 100% }
figure { margin: 1.2rem 0; overflow-x: auto }
img { display: block; max-width: 100%; height: auto; margin: 0 auto; background: #fff;
  border-radius: 6px; border: 1px solid var(--line) }
@media screen and (prefers-color-scheme: dark) { img { border-color: transparent;
  filter: invert(.91) hue-rotate(180deg) } }
details { border: 1px solid var(--line); border-radius: 6px; margin: .6rem 0;
  background: var(--raised) }
summary { cursor: pointer; padding: .55rem .9rem }
details > div { padding: .2rem .9rem .8rem; background: var(--page); border-radius: 0 0 6px 6px;
  border-top: 1px solid var(--line) }
.table { overflow-x: auto; margin: .8rem 0 }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid var(--line) }
th { color: var(--soft); font-weight: 600; white-space: nowrap }
td.short { white-space: nowrap }
td:last-child, th:last-child { padding-right: 0 }
.bad { color: var(--bad) }
@media (max-width: 40rem) { body { padding: 1.2rem .9rem 3rem } h1 { font-size: 1.4rem }
  td { min-width: 4.5rem } img { max-width: none; width: 40rem } }
@page { size: A4; margin: 18mm 16mm }
@media print { :root { --text: #000; --soft: #444; --line: #bbb; --page: #fff; --raised: #fff;
    --accent: #000; --bad: #000 }
  body { max-width: none; padding: 0; font-size: 9.5pt }
  figure, tr { break-inside: avoid } h2, summary { break-after: avoid }
  .table, figure { overflow: visible } table { font-size: 8pt }
  td, td.short, th { white-space: normal }
  details::details-content { content-visibility: visible; block-size: auto } }
"""
EQUATION = re.compile(r"(?<=\S) ([=±<>≤≥]) (?=\S)")  # kept in one line
SHORT = 24  # characters of a cell that is kept in one line


def write_page(report: Path) -> Path:
    """Write a report of Markdown as a page beside it, with the figures that are there.

    Parameters
    ----------
    report : Path
        Its name ends in .md; the page's in .html.
    """
    place = report.with_suffix(".html")
    write_atomically(place, page(report.read_text(encoding="utf-8"), report.parent))
    return place


def page(text: str, folder: Path) -> str:
    """Return a report of Markdown as a page of HTML that holds its figures.

    Parameters
    ----------
    text : str
        Headings, paragraphs, lists, tables and figures on lines of their own; in sentences
        `code`, **strong**, *emphasis*, $formulas$ and links to files beside the report.
    folder : Path
        Where the report and its figures are.  A figure that is not there leaves its words.
    """
    blocks = list(_blocks(text))
    title = next((words for level, words in map(_level, blocks) if level == 1), "Report")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(_sections(blocks, folder))
        + "\n</main>\n</body>\n</html>\n"
    )


def _blocks(text: str) -> Iterator[list[str]]:
    """Yield the lines of each block: headings and figures stand alone, empty lines part others."""
    block: list[str] = []
    for line in [*text.splitlines(), ""]:
        alone = HEADING.fullmatch(line) or FIGURE.fullmatch(line)
        if block and (alone or not line.strip()):
            yield block
            block = []
        if alone:
            yield [line]
        elif line.strip():
            block.append(line)


def _level(block: Sequence[str]) -> tuple[int, str]:
    """Return the level of a heading and its words; 0 for any other block."""
    found = HEADING.fullmatch(block[0])
    return (len(found[1]), found[2]) if found else (0, "")


def _sections(blocks: Sequence[list[str]], folder: Path) -> Iterator[str]:
    """Yield the page's parts; a section of evidence that no deeper heading follows is folded."""
    levels = [(k, *_level(block)) for k, block in enumerate(blocks) if _level(block)[0]]
    ends = [k for k, _, _ in levels[1:]] + [len(blocks)]
    first = 2  # the title, and the section after it
    yield from (_block(block, folder) for block in blocks[: levels[0][0] if levels else None])
    for place, ((start, level, words), end) in enumerate(zip(levels, ends, strict=True)):
        inner = [_block(block, folder) for block in blocks[start + 1 : end]]
        deeper = place + 1 < len(levels) and levels[place + 1][1] > level
        evidence = any(block[0].startswith(("|", "![")) for block in blocks[start + 1 : end])
        if place < first or deeper or not evidence:
            yield f'<h{level} id="{_anchor(words)}">{_inline(words)}</h{level}>'
            yield from inner
        else:
            body = "\n".join(inner)
            yield (
                f'<details id="{_anchor(words)}">\n<summary>{_inline(words)}</summary>\n'
                f"<div>\n{body}\n</div>\n</details>"
            )


def _anchor(words: str) -> str:
    """Return what a link to a heading names, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", words.lower()).strip().replace(" ", "-")


def _block(lines: Sequence[str], folder: Path) -> str:
    """Return one block as HTML."""
    figure = FIGURE.fullmatch(lines[0])
    if figure:
        return _figure(figure[1], figure[2], folder)
    if lines[0].startswith("|"):
        return _table(lines)
    if lines[0].startswith("- "):
        return f"<ul>{''.join(f'<li>{_inline(line[2:])}</li>' for line in lines)}</ul>"
    if re.match(r"\d+\. ", lines[0]):
        items = (f"<li>{_inline(line.partition('. ')[2])}</li>" for line in lines)
        return f"<ol>{''.join(items)}</ol>"
    return f"<p>{_inline(' '.join(lines))}</p>"


def _figure(words: str, address: str, folder: Path) -> str:
    """Return a figure with its picture in the page."""
    path, words = folder / address, html.escape(words)
    if path.suffix != ".png" or not path.is_file():
        return f"<p><em>Not drawn: {words}.</em></p>"
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<figure><img alt="{words}" src="data:image/png;base64,{data}"></figure>'


def _table(lines: Sequence[str]) -> str:
    """Return a table, its second line the ruler."""
    head, _, *rows = (
        [cell.strip().replace("\\|", "|") for cell in CELL.split(line)[1:-1]] for line in lines
    )
    top = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in head)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return (
        f'<div class="table"><table>\n<thead><tr>{top}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _cell(text: str) -> str:
    """Return a cell; a short one is kept in one line, so that no number is broken."""
    short = ' class="short"' if len(text) <= SHORT else ""
    return f"<td{short}>{_inline(text)}</td>"


def _inline(text: str) -> str:
    """Return a sentence as HTML; what is no known form of Markdown is text."""
    text = EQUATION.sub("\u00a0\\1\u00a0", text.replace("&lt;", "<"))
    parts, at = [], 0
    for found in INLINE.finditer(text):
        parts += [html.escape(text[at : found.start()]), _marked(found)]
        at = found.end()
    return "".join([*parts, html.escape(text[at:])])


def _marked(found: re.Match[str]) -> str:
    """Return one marked stretch of a sentence as HTML."""
    name = next(name for name, value in found.groupdict().items() if value is not None)
    words = found[name]
    if name == "code":
        return f"<code>{html.escape(words)}</code>"
    if name == "formula":
        return mathml(words)
    if name == "strong":
        bad = ' class="bad"' if words in ("violated", "fails", "Contradicted") else ""
        return f"<strong{bad}>{html.escape(words)}</strong>"
    if name == "em":
        return f"<em>{html.escape(words)}</em>"
    address = found["address"]
    if not LINK.fullmatch(address):
        return html.escape(found[0])
    return f'<a href="{html.escape(address)}">{html.escape(words)}</a>'

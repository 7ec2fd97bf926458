"""A page as one HTML file: no scripts, nothing from elsewhere, light and dark, and for print.

Template and style are constants, so that the digest of the method's code covers them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from assets.evaluation.report_document import Document, Picture, Points, Table

if TYPE_CHECKING:
    from jinja2 import Template

_STYLE = """
/* One type scale (1.25), one spacing step (0.5 rem), calm colours, light and dark. */
:root {
  color-scheme: light dark;
  --paper: #f7f6f2; --card: #ffffff; --ink: #1e2427; --soft: #555f63; --line: #d7d5cc;
  --accent: #1d5c63; --good: #2c6139; --good-tint: #ebf4ec; --bad: #9c2b1f; --bad-tint: #fbeeeb;
  --unsure: #6b5310; --unsure-tint: #f8f1dc;
  --one: #30638e; --two: #c23b53; --three: #00798c; --four: #a8700a; --five: #8f5aa8;
  --s1: 0.875rem; --s2: 1rem; --s3: 1.25rem; --s4: 1.563rem; --s5: 2.2rem;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15191b; --card: #1d2325; --ink: #e7e9e6; --soft: #a8b1b2; --line: #343c3f;
    --accent: #8fcbcf; --good: #9fd0a9; --good-tint: #1d2e21; --bad: #f0a396; --bad-tint: #36211e;
    --unsure: #e3c878; --unsure-tint: #312a17;
    --one: #86b6df; --two: #ef8b9c; --three: #62c4d3; --four: #e6b656; --five: #c79fdd;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: var(--s2)/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
main, footer { max-width: 68rem; margin: 0 auto; padding: 1.5rem; }
h1, h2, h3 { line-height: 1.2; text-wrap: balance; font-weight: 650; letter-spacing: -0.01em; }
h1 { font-size: var(--s5); margin: 0 0 1rem; }
h2 { font-size: var(--s4); margin: 3rem 0 1rem; }
p { margin: 0 0 1rem; max-width: 44rem; }
a { color: var(--accent); text-underline-offset: 0.15em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
.about { color: var(--soft); font-size: var(--s1); margin: 0 0 0.5rem; }
.skip { position: absolute; left: -99rem; background: var(--card); padding: 0.5rem 1rem; }
.skip:focus { left: 1rem; top: 0.5rem; z-index: 1; }
.answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); gap: 1rem;
  margin: 0 0 1.5rem; }
.answers > div { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  border-left: 4px solid var(--line); padding: 0.75rem 1rem; }
.answers dt { color: var(--soft); font-size: var(--s1); }
.answers dd { margin: 0.25rem 0 0; white-space: pre-line; }
.answers .good { border-left-color: var(--good); }
.answers .bad { border-left-color: var(--bad); }
.answers .unsure { border-left-color: var(--unsure); }
.answers .missing dd { color: var(--soft); }
.speaks { border-left: 4px solid var(--accent); padding-left: 1rem; color: var(--soft);
  font-size: var(--s1); margin: 0 0 1.5rem; }
.speaks p { margin: 0 0 0.25rem; max-width: none; }
.wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; margin: 0 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  overflow-wrap: break-word; }
caption { text-align: left; font-weight: 650; padding: 0.75rem 1rem 0.25rem; }
th, td { text-align: left; vertical-align: top; padding: 0.5rem 1rem; font-size: var(--s1);
  border-top: 1px solid var(--line); min-width: 8.5rem; unicode-bidi: isolate; }
thead th { border-top: 0; color: var(--soft); font-weight: 600; }
tbody th { font-weight: 600; min-width: 10rem; max-width: 20rem; overflow-wrap: anywhere; }
td small, th small { display: block; color: var(--soft); font-size: var(--s1); font-weight: 400; }
td.good > .said { color: var(--good); background: var(--good-tint); }
td.bad > .said { color: var(--bad); background: var(--bad-tint); }
td.unsure > .said { color: var(--unsure); background: var(--unsure-tint); }
td.good > .said, td.bad > .said, td.unsure > .said { font-weight: 600; border-radius: 4px;
  padding: 0 0.35em; margin-left: -0.35em; }
td.missing > .said { color: var(--soft); font-style: italic; }
.note { color: var(--soft); font-size: var(--s1); }
figure { margin: 1rem 0 1.5rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; padding: 1rem; }
figure svg { display: block; width: 100%; height: auto; max-width: 30rem; margin: 0 auto; }
figcaption { max-width: 44rem; margin: 0.5rem auto 0; text-align: center; }
.points { padding-left: 1.25rem; max-width: 44rem; }
.points li { margin: 0 0 0.5rem; }
.code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
footer { color: var(--soft); font-size: var(--s1); border-top: 1px solid var(--line); }
@media (max-width: 34rem) {
  :root { --s5: 1.75rem; --s4: 1.4rem; --s3: 1.125rem; }
  main, footer { padding: 1rem; }
  .answers { grid-template-columns: 1fr; gap: 0.5rem; }
  figure { padding: 0.5rem; }
  table, tbody, tr, th, td, caption { display: block; min-width: 0; max-width: none; }
  thead { position: absolute; left: -99rem; }
  tbody tr { border-top: 1px solid var(--line); padding: 0.5rem 0; }
  tbody th, td { border: 0; padding: 0.25rem 1rem; max-width: none; }
  td::before { content: attr(data-name); display: block; color: var(--soft); }
}
@media print {
  :root { color-scheme: light; --paper: #ffffff; --card: #ffffff; --ink: #000000; --soft: #333333;
    --line: #bbbbbb; --accent: #1d5c63; --good: #2c6139; --good-tint: #ffffff; --bad: #9c2b1f;
    --bad-tint: #ffffff; --unsure: #6b5310; --unsure-tint: #ffffff;
    --one: #30638e; --two: #c23b53; --three: #00798c; --four: #a8700a; --five: #8f5aa8; }
  .skip { display: none; }
  main, footer { max-width: none; padding: 0; }
  .wide { overflow: visible; border-radius: 0; }
  th, td { min-width: 0; padding: 0.25rem 0.5rem; }
  h2 { break-after: avoid; }
  tr, figure, .answers > div { break-inside: avoid; }
}
"""

_TEMPLATE = """\
{%- macro show(block) %}
{%- if block.kind == "table" %}
<div class="wide" role="region" tabindex="0" aria-label="{{ block.it.caption }}">
<table role="table">
<caption>{{ block.it.caption }}</caption>
<thead role="rowgroup"><tr role="row">{% for name in block.it.header %}
<th scope="col" role="columnheader" dir="auto">
{%- if name %}{{ name }}{% else %}<span class="skip">who answers</span>{% endif %}</th>
{%- endfor %}</tr></thead>
<tbody role="rowgroup">
{%- for row in block.it.rows %}
<tr role="row">{% for cell in row %}{% set tag = "th" if loop.first else "td" %}
<{{ tag }}{% if loop.first %} scope="row" role="rowheader"{% else %} role="cell" data-name="
{{- block.it.header[loop.index0] }}"{% endif %}{% if cell.tone %} class="{{ cell.tone }}"
{%- endif %}><span class="said" dir="auto">
{%- if cell.link %}<a href="{{ cell.link }}.html">{{ cell.text }}</a>{% else %}{{ cell.text }}
{%- endif %}</span>{% if cell.more %}<small dir="auto">{{ cell.more }}</small>{% endif -%}
</{{ tag }}>
{%- endfor %}</tr>
{%- endfor %}
</tbody>
</table>
</div>
{%- if block.it.note %}
<p class="note">{{ block.it.note }}</p>
{%- endif %}
{%- elif block.kind == "picture" %}
<figure><div role="img" aria-label="{{ block.it.says }}">{{ pictures[block.it.name] }}</div>
<figcaption class="note">{{ block.it.caption }}</figcaption></figure>
{%- elif block.kind == "points" %}
<ul class="points">{% for line in block.it.lines %}
<li dir="auto">{{ line }}</li>{% endfor %}
</ul>
{%- else %}
<p>{{ block.it.text }}</p>
{%- endif %}
{%- endmacro -%}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ document.title }}</title>
<style>{{ style }}</style>
</head>
<body>
<a class="skip" href="#found">Skip to what was found</a>
<main>
<p class="about" dir="auto">{{ document.about }}</p>
<h1 dir="auto">{{ document.title }}</h1>
<dl class="answers" id="found">
{%- for one in document.answers %}
<div{% if one.tone %} class="{{ one.tone }}"{% endif %}>
<dt>{{ one.question }}</dt>
<dd dir="auto">{{ one.answer }}</dd></div>
{%- endfor %}
</dl>
{%- if document.speaks %}
<div class="speaks">{% for line in document.speaks %}<p dir="auto">{{ line }}</p>{% endfor %}</div>
{%- endif %}
{%- for block in first %}{{ show(block) }}{% endfor %}
{%- for title, blocks in sections %}
<section>
<h2>{{ title }}</h2>
{%- for block in blocks %}{{ show(block) }}{% endfor %}
</section>
{%- endfor %}
</main>
<footer>
{%- if document.others %}
<nav aria-label="Other pages"><ul class="points">{% for title, link in document.others %}
<li dir="auto"><a href="{{ link }}.html">{{ title }}</a></li>{% endfor %}
</ul></nav>
{%- endif %}
<p>The same page as Markdown lies beside this one. It uses no scripts and loads nothing.</p>
</footer>
</body>
</html>
"""


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    return Environment(autoescape=True, undefined=StrictUndefined).from_string(_TEMPLATE)


def html(document: Document, drawn: Mapping[str, str]) -> str:
    """The page.

    Args:
        document: What it says.
        drawn: Each of its pictures as an SVG element.
    """
    from markupsafe import Markup

    def prepared(block: object) -> dict[str, object]:
        match block:
            case Table():
                kind = "table"
            case Picture():
                kind = "picture"
            case Points():
                kind = "points"
            case _:
                kind = "text"
        return {"kind": kind, "it": block}

    # matplotlib wrote the pictures and escaped what stands in them.
    pictures = {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704
    return (
        _template().render(
            document=document,
            first=[prepared(block) for block in document.first],
            sections=[(s.title, [prepared(b) for b in s.blocks]) for s in document.sections],
            pictures=pictures,
            style=Markup(_STYLE),  # noqa: S704 - a constant
        )
        + "\n"
    )

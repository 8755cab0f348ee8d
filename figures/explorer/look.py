"""How the page is laid out, coloured and read aloud: HTML, CSS and three small scripts."""

from __future__ import annotations

from typing import Any

from bokeh.core.templates import get_env
from bokeh.models import CustomJS, InlineStyleSheet, Slider
from jinja2 import Template

from looprate.figures.style import on_dark

HATCHES = {"": " ", "...": "dot", "xxx": "diagonal_cross", "\\\\\\": "left_diagonal_line",
           "---": "horizontal_line"}  # fmt: skip
TEMPLATE = """{% extends base %}
{% block preamble %}
<meta name="viewport" content="width=device-width, initial-scale=1">
{% endblock %}
{% block postamble %}<style>
html, body { height: auto }
body { font: 15px/1.45 system-ui, sans-serif; padding: 0.6rem 1rem; COLOURS }
h2 { font-size: 15px; margin: 0 }
main { display: grid; gap: 0.4rem 1.2rem; align-items: start;
       grid-template-columns: 19rem minmax(0, 1fr) minmax(0, 1fr) }
section { min-width: 0; overflow-wrap: anywhere }
.statement, .trouble, .verdict, .values, .table { grid-column: 2 / span 2 }
.controls { grid-column: 1; grid-row: 1 / span 10; position: sticky; top: 0;
            max-height: 100vh; overflow: auto; padding: 4px }
@media (max-width: 1000px) {
  main { grid-template-columns: 16rem minmax(0, 1fr) }
  main > section:not(.controls) { grid-column: 2 }
}
@media (max-width: 760px) {
  main { display: block }
  .controls { position: static; max-height: none }
}
</style>{% endblock %}
{% block contents %}<main aria-label="looprate explorer">
{% for root in docs[0].roots %}<section class="{{ root.name }}">
{% if titles[root.name] %}<h2>{{ titles[root.name] }}</h2>{% endif %}{{ embed(root) }}</section>
{% endfor %}</main>{% endblock %}"""
TITLES = {  # of the pictures: text of the page, which wraps and is read aloud
    "errors": "Error against loops (hatched: no bound below the best constant)",
    "terms": "Terms of the bound at r (dotted: best constant)",
    "moduli": "Moduli of continuity",
    "network": "The constructed network, loop by loop",
    "class": "What no number of loops can do",
    "worst": "The worst case from both sides",
}
LIGHT = {
    "paper": "#ffffff",
    "ink": "#000000",
    "line": "#8a8a8a",
    "focus": "#0072B2",
    "scheme": "light",
    "arrows": "none",
}
DARK = {
    "paper": "#15191c",
    "ink": "#f0f0f0",
    "line": "#8a9299",
    "focus": "#56B4E9",
    "scheme": "dark",
    "arrows": "invert(1)",
}
SHEET = """
:host, p, td, th { font-size: 15px; line-height: 1.4 }
p { margin: 0 0 0.4rem }
.bk-clearfix { display: block; max-width: 100%% }
.across { overflow-x: auto }
td, th { padding: 0 0.7rem 0 0; text-align: left; vertical-align: top }
th { white-space: nowrap }
.state td { white-space: nowrap }
.state td:last-child { min-width: 11rem; white-space: normal }
.bk-input, .bk-btn, .bk-btn:hover, option { background-color: %(paper)s; color: %(ink)s;
  border-color: %(line)s }
.bk-btn, .bk-input { font-size: 14px; color-scheme: %(scheme)s }
select.bk-input:not([multiple]):not(.x) { appearance: none; padding-right: 24px;
  background-repeat: no-repeat;
  background-image: linear-gradient(45deg, transparent 50%%, %(ink)s 50%%),
    linear-gradient(135deg, %(ink)s 50%%, transparent 50%%);
  background-position: right 13px center, right 8px center; background-size: 5px 5px }
.bk-spin-btn { filter: %(arrows)s }
[role=alert] { border-left: 4px solid #D55E00; padding-left: 0.6rem }
:is(input, select, button, .noUi-handle):focus-visible, .noUi-handle:focus {
  outline: 3px solid %(focus)s !important; outline-offset: 2px }
"""
#: Give sliders their title as their name, and the value in it as what is read aloud, which may be a
#: power of ten; leave out of the Tab order what no key works on; let the End key go to the end a
#: slider has now: its library keeps the one that it was made with.
NAMES = """
const inside = root => [...root.querySelectorAll('*')].flatMap(
  e => e.shadowRoot ? [e, ...inside(e.shadowRoot)] : [e]);
for (const e of inside(document)) {
  if (e.matches('.bk-spin-btn, .bk-events')) e.tabIndex = -1;
  if (!e.matches('.noUi-handle')) continue;
  const title = e.getRootNode().querySelector('.bk-slider-title');
  title.id = 'title';
  e.setAttribute('aria-labelledby', 'title');
  const said = () => {
    const value = title.querySelector('.bk-slider-value');
    if (value && e.getAttribute('aria-valuetext') !== value.textContent)
      e.setAttribute('aria-valuetext', value.textContent);
  };
  said();
  const watch = new MutationObserver(said);
  watch.observe(title, {childList: true, subtree: true, characterData: true});
  watch.observe(e, {attributeFilter: ['aria-valuetext']});
  e.addEventListener('keydown', event => {
    const slider = sliders.find(one => title.textContent.startsWith(one.title));
    if (event.key !== 'End' || !slider) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    slider.value = slider.end;
  }, {capture: true});
}
"""
SAVE = """
const d = source.data; if (!d.name.length) return;
const bytes = Uint8Array.from(atob(d.base64[0]), c => c.charCodeAt(0));
const a = document.createElement('a');
a.href = URL.createObjectURL(new Blob([bytes], {type: d.mime[0]}));
a.download = d.name[0]; a.click(); URL.revokeObjectURL(a.href);
"""
#: The setting goes into the address; the theme that is there stays.
ADDRESS = """
const theme = new URLSearchParams(location.search).get('theme');
const parts = [source.data.query[0], theme ? 'theme=' + theme : ''].filter(part => part);
window.history.replaceState(null, '', '?' + parts.join('&'));
"""
THEME = """
const query = new URLSearchParams(location.search);
query.set('theme', other);
location.search = query.toString().replaceAll('+', '%20');
"""


def template(dark: bool) -> Template:
    """Return the HTML around the page."""
    look = DARK if dark else LIGHT
    colours = f"background: {look['paper']}; color: {look['ink']}"
    return get_env().from_string(TEMPLATE.replace("COLOURS", colours), {"titles": TITLES})


def keys_and_names(*sliders: Slider) -> CustomJS:
    """Return what makes a finished page one for keyboards and screen readers.

    Parameters
    ----------
    *sliders : Slider
        Those whose range changes.
    """
    return CustomJS(args={"sliders": list(sliders)}, code=NAMES)


def sheet(dark: bool) -> dict[str, Any]:
    """Return what every control and text is made with: its width and its style."""
    style = InlineStyleSheet(css=SHEET % (DARK if dark else LIGHT))
    return {"sizing_mode": "stretch_width", "stylesheets": [style]}


def ink(dark: bool) -> str:
    """Return the colour of what is black on white."""
    return "#F0F0F0" if dark else "#000000"


def coloured(colour: str, dark: bool) -> str:
    """Return a colour of the paper's figures as seen on the page."""
    if colour.lower() in ("#000000", "0.25"):
        return ink(dark)
    return on_dark(colour) if dark else colour

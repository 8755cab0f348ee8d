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
:root { COLOURS; color-scheme: SCHEME }
html, body { height: auto }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0; padding: 0 16px 32px;
       background: var(--paper); color: var(--ink) }
header, main { max-width: 1480px; margin: 0 auto }
header { display: flex; align-items: center; justify-content: space-between; gap: 16px;
         padding: 12px 0 }
header > div { width: 9rem }
h1, h2, h3 { margin: 0; line-height: 1.25; font-weight: 600 }
h2, h3, summary { padding-left: 5px }  /* as all that the library places */
h1 { font-size: 24px } h2 { font-size: 18px } h3 { font-size: 15px }
main > section { margin-bottom: 16px; display: grid; gap: 12px 24px; align-items: start;
  padding: 16px;
  grid-template-columns: 17rem minmax(0, 1fr) minmax(0, 1fr); background: var(--card);
  border: 1px solid var(--edge); border-radius: 10px }
main > section > * { min-width: 0; overflow-wrap: anywhere }
h2 { grid-column: 1 / -1 }
RAIL { grid-column: 1; grid-row: 2 / span 3 }
.radius { grid-row: 2 }
WIDE { grid-column: 2 / -1 }
LEFT { grid-column: 2 }
.class { grid-column: 1 / 3 }
.take { grid-column: 1 / -1 }
.trouble { position: sticky; top: 0; z-index: 9; background: var(--paper) }
summary { cursor: pointer; color: var(--accent) }
summary:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
@media (max-width: 1100px) {
  main > section { grid-template-columns: 16rem minmax(0, 1fr) }
  main > section > div, main > section > details { grid-column: 2 }
  RAIL { grid-column: 1 }
  .class, .take { grid-column: 1 / -1 }
}
@media (max-width: 760px) {
  body { padding: 0 8px 24px }
  main > section { display: flex; flex-direction: column; align-items: stretch; padding: 12px }
  main > section > * { order: 3 }
  h2 { order: 0 !important }
  FIRST { order: 1 !important }  /* a picture on the first screen, and what moves it below */
  RAIL { order: 2 !important }
}
</style>{% endblock %}
{% macro part(name) %}{% for root in docs[0].roots if root.name == name %}
{{ embed(root) }}{% endfor %}{% endmacro %}
{% block contents %}
<header><h1>looprate explorer</h1><div>{{ part("theme") }}</div></header>
<main aria-label="looprate explorer">
<div class="trouble" role="status">{{ part("trouble") }}</div>
<div class="intro">{{ part("intro") }}</div>
{% for card in cards if card.parts | select("in", docs[0].roots | map(attribute="name") | list)
  | list %}<section aria-label="{{ card.title }}"><h2>{{ card.title }}</h2>
{% for name in card.parts %}{% for root in docs[0].roots if root.name == name %}
{% if name in folded %}<details class="{{ name }}"><summary>{{ folded[name] }}</summary>
{{ embed(root) }}</details>
{% else %}<div class="{{ name }}"{% if name in live %} aria-live="polite"{% endif %}
{% if name in titles %} role="group" aria-label="{{ titles[name] }}"{% endif %}>
{% if name in titles %}<h3>{{ titles[name] }}</h3>{% endif %}{{ embed(root) }}</div>
{% endif %}{% endfor %}{% endfor %}</section>
{% endfor %}</main>{% endblock %}"""
#: Cards of the page -> their parts, in the order of the Tab key.
CARDS = {
    "The function": ("function", "formula", "map", "slice", "reading"),
    "The network of the proof, run on this input":
        ("networks", "told", "network", "readout", "table"),
    "Error against loops": ("bounds", "verdict", "errors", "terms", "statement"),
    "Moduli of continuity": ("radius", "moduli", "values"),
    "What no number of loops can do": ("class", "worst"),
    "Take it along": ("take",),
}  # fmt: skip
PARTS = ("theme", "trouble", "intro", *(name for parts in CARDS.values() for name in parts))
RAILS = ("function", "networks", "bounds", "radius")  # controls, beside what they move
LEFT = ("map", "network", "errors", "moduli")  # the first picture of a card
WIDE = ("formula", "reading", "told", "table", "verdict", "statement")
FIRST = ("formula", "told", "verdict", *LEFT)  # on a phone, above the controls
LIVE = ("verdict", "reading")  # read aloud when they change
FOLDED = {"table": "Every row of the residual stream, exactly"}
TITLES = {  # of the pictures: text of the page, which wraps and is read aloud
    "map": "Over the input, cell by cell",
    "slice": "Along one coordinate: f and the network's staircase",
    "errors": "Bounds and networks (hatched: no bound below the best constant)",
    "terms": "Terms of the bound at r (dotted: best constant)",
    "network": "The residual stream, loop by loop",
    "readout": "What would be read out after every loop",
    "worst": "The worst case from both sides",
}
LIGHT = {
    "paper": "#f5f6f7",
    "card": "#ffffff",
    "edge": "#e1e4e7",
    "ink": "#14181b",
    "muted": "#555d64",
    "line": "#8a8a8a",
    "accent": "#0072B2",
    "on-accent": "#ffffff",
    "arrows": "none",
}
DARK = {
    "paper": "#15191c",
    "card": "#1d2226",
    "edge": "#313940",
    "ink": "#f0f0f0",
    "muted": "#b3bcc4",
    "line": "#8a9299",
    "accent": "#56B4E9",
    "on-accent": "#0c1013",
    "arrows": "invert(1)",
}
#: Of every control and text; the colours are variables of the page, which reach into all parts.
SHEET = """
:host, p, td, th { font-size: 15px; line-height: 1.5; color: var(--ink) }
p { margin: 0 0 8px }
.note { font-size: 13px; color: var(--muted) }
.bk-clearfix { display: block; max-width: 100% }
.across { overflow-x: auto }
.formula { font-size: 18px; padding: 4px 0; margin-bottom: 4px }
math { font-family: "STIX Two Math", "Cambria Math", "Latin Modern Math", math }
table { border-collapse: collapse }
td, th { padding: 2px 16px 2px 0; text-align: left; vertical-align: top }
th { white-space: nowrap; font-weight: 600 }
.numbers td, .numbers th { font-variant-numeric: tabular-nums;
  padding-right: 12px; border-bottom: 1px solid var(--edge) }
.numbers td { white-space: nowrap }
@media (max-width: 420px) { .numbers td, .numbers th { font-size: 13px; padding-right: 8px } }
.state td { white-space: nowrap }
.state td:last-child { min-width: 11rem; white-space: normal }
label, .bk-slider-title { color: var(--ink); font-size: 13px; white-space: normal }
.bk-input, .bk-btn, option { background-color: var(--card); color: var(--ink);
  border-color: var(--line); border-radius: 6px }
.bk-btn, .bk-input { font-size: 15px }
.bk-btn:hover { background-color: var(--card); border-color: var(--accent); color: var(--accent) }
.bk-btn-primary, .bk-btn-primary:hover { background-color: var(--accent);
  border-color: var(--accent); color: var(--on-accent) }
.noUi-connect { background-color: var(--accent) !important }
.noUi-target { background-color: var(--edge) }
select.bk-input:not([multiple]):not(.x) { appearance: none; padding-right: 24px;
  background-repeat: no-repeat;
  background-image: linear-gradient(45deg, transparent 50%, var(--ink) 50%),
    linear-gradient(135deg, var(--ink) 50%, transparent 50%);
  background-position: right 13px center, right 8px center; background-size: 5px 5px }
.bk-spin-btn { filter: var(--arrows) }
[role=alert] { border-left: 4px solid #D55E00; padding: 8px 12px }
:is(input, select, button, .noUi-handle):focus-visible, .noUi-handle:focus {
  outline: 3px solid var(--accent) !important; outline-offset: 2px }
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
#: One loop after the other, in twelve seconds for all if that is quick enough to see.
PLAY = """
const stop = () => { clearInterval(window.playing); window.playing = 0; button.label = play; };
if (window.playing) { stop(); return; }
if (step.disabled) return;
button.label = pause;
step.value = step.value >= step.end ? 0 : step.value + 1;  // at once
window.playing = setInterval(() => {
  if (step.value >= step.end || step.disabled) stop();
  else step.value += 1;
}, Math.max(80, Math.min(400, 12000 / step.end)));
"""
#: The setting goes into the address once a hand rests; the theme that is there stays.
ADDRESS = """
clearTimeout(window.addressing);
window.addressing = setTimeout(() => {
  const theme = new URLSearchParams(location.search).get('theme');
  const parts = [source.data.query[0], theme ? 'theme=' + theme : ''].filter(part => part);
  window.history.replaceState(null, '', '?' + parts.join('&'));
}, 150);
"""
THEME = """
const query = new URLSearchParams(location.search);
query.set('theme', other);
location.search = query.toString().replaceAll('+', '%20');
"""


def template(dark: bool) -> Template:
    """Return the HTML around the page."""
    look = DARK if dark else LIGHT
    text = TEMPLATE
    for word, names in (("RAIL", RAILS), ("LEFT", LEFT), ("WIDE", WIDE), ("FIRST", FIRST)):
        text = text.replace(word, ", ".join(f".{name}" for name in names))
    text = text.replace("COLOURS", "; ".join(f"--{name}: {is_}" for name, is_ in look.items()))
    cards = [{"title": title, "parts": parts} for title, parts in CARDS.items()]
    known = {"cards": cards, "titles": TITLES, "folded": FOLDED, "live": LIVE}
    return get_env().from_string(text.replace("SCHEME", "dark" if dark else "light"), known)


def keys_and_names(*sliders: Slider) -> CustomJS:
    """Return what makes a finished page one for keyboards and screen readers.

    Parameters
    ----------
    *sliders : Slider
        Those whose range changes.
    """
    return CustomJS(args={"sliders": list(sliders)}, code=NAMES)


def sheet() -> dict[str, Any]:
    """Return what every control and text is made with: its width and its style."""
    style = InlineStyleSheet(css=SHEET)
    return {"sizing_mode": "stretch_width", "stylesheets": [style]}


def ink(dark: bool) -> str:
    """Return the colour of what is black on white."""
    return "#F0F0F0" if dark else "#000000"


def coloured(colour: str, dark: bool) -> str:
    """Return a colour of the paper's figures as seen on the page."""
    if colour.lower() in ("#000000", "0.25"):
        return ink(dark)
    return on_dark(colour) if dark else colour

"""Labelled numbers that are copied by a click or a tap, to be typed elsewhere."""

from collections.abc import Iterable
from html import escape

import streamlit as st

_STYLE = """<style>
.numbers {display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 0.55rem 0.75rem;
  align-items: center; margin-bottom: 0.5rem}
.numbers small {display: block; opacity: 0.65; font-size: 0.82rem; line-height: 1.35}
.numbers code {position: relative; padding: 0.7rem 0.9rem; border-radius: 0.5rem; cursor: copy; font-size: 0.9rem;
  background: rgba(128, 128, 128, 0.1); color: inherit; user-select: all; overflow-wrap: anywhere}
.numbers code:hover, .numbers code:focus-visible {outline: 1px solid rgba(128, 128, 128, 0.6)}
.numbers code[data-copied]::after {content: "copied"; position: absolute; right: 0.5rem; top: 0.1rem; opacity: 0.7;
  font-family: sans-serif; font-size: 0.65rem}
</style>"""

# Once for all numbers of a visit. What was clicked stays selected, also where a page may not write to the clipboard.
_SCRIPT = """<script>
window.copiesNumbers ??= ["click", "keydown"].map((kind) => document.addEventListener(kind, async (event) => {
  const number = event.target.closest?.(".numbers code");
  if (!number || (event.key && event.key !== "Enter")) return;
  getSelection().selectAllChildren(number);
  try {
    await navigator.clipboard.writeText(number.textContent);
    number.dataset.copied = "";
    setTimeout(() => delete number.dataset.copied, 1200);
  } catch {}
}));
</script>"""


def numbers(items: Iterable[tuple[str, str, str]]) -> None:
    """Label, value and what it means, below each other. st.code has a copy button too, but loads a script of 1.5 MB."""
    rows = "".join(f'<div><b>{escape(label)}</b><small>{escape(note)}</small></div>'
                   f'<code tabindex="0" title="click to copy">{escape(value)}</code>' for label, value, note in items)
    st.html(f'{_STYLE}<div class="numbers">{rows}</div>{_SCRIPT}', unsafe_allow_javascript=True)

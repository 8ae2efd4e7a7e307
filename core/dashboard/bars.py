"""Bars drawn by the browser itself, as HTML: no figure library is loaded for them. Pure.

Text and lines take the colour of the page, so that they are readable on dark and on light; every number that a bar
stands for can be read, by eyes and by screen readers alike.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from core.dashboard import theme


class Line(NamedTuple):
    """A value on its way up or down: its name, what it is now, what it adds, and what it means."""

    name: str
    value: str
    by: float
    means: str = ""


class Kind(NamedTuple):
    """One kind of bar of `grouped`: its name and its colour."""

    name: str
    colour: str


def grouped(names: Sequence[str], kinds: Sequence[Kind], told: Sequence[Sequence[str]],
            lengths: Sequence[Sequence[float]]) -> str:
    """For each name one bar of each kind, from the left. told, lengths: by kind, one item for each name."""
    most = max((length for of in lengths for length in of), default=0.0) or 1.0
    key = "".join(f"<span><i style='background:{kind.colour}'></i>{escape(kind.name)}</span>" for kind in kinds)
    rows = "".join(f"<dt>{escape(name)}</dt><dd>" + "".join(
        _bar(name, kind, told[k][i], lengths[k][i] / most) for k, kind in enumerate(kinds)) + "</dd>"
        for i, name in enumerate(names))
    return f"<style>{_GROUPED}</style><div class='bars-g'><p aria-hidden='true'>{key}</p><dl>{rows}</dl></div>"


def _bar(name: str, kind: Kind, told: str, share: float) -> str:
    means = escape(f"{name}, {kind.name}: {told}", quote=True)
    return (f"<div title='{means}'><i style='background:{kind.colour};width:{100.0 * share:.2f}%'></i>"
            f"<b><span>{escape(kind.name)} </span>{escape(told)}</b></div>")


def signed(lines: Sequence[Line]) -> str:
    """Bars to both sides of a middle line: what adds goes right in green, what takes away goes left in red."""
    most = max((abs(line.by) for line in lines), default=0.0) or 1.0
    rows = "".join(_sided(line, abs(line.by) / most) for line in lines)
    return f"<style>{_SIGNED}</style><dl class='bars-s'>{rows}</dl>"


def _sided(line: Line, share: float) -> str:
    side = "up" if line.by >= 0 else "down"
    bar = (f"<div class='{side}'><i style='background:{theme.signed(line.by)};width:calc((100% - 3.6rem) * "
           f"{share:.4f})'></i><b>{line.by:+.3f}</b></div>")
    return (f"<dt title='{escape(line.means, quote=True)}'>{escape(line.name)} <span>= {escape(line.value)}</span></dt>"
            f"<dd title='{escape(line.means, quote=True)}'>{bar}</dd>")


# `i` is a bar; what is read aloud only is cut to nothing, not left out.
_GROUPED = (
    ".bars-g{font-size:0.875rem}.bars-g p{display:flex;gap:1rem;margin:0 0 0.5rem 0}.bars-g p i{display:inline-block;"
    "width:0.9rem;height:0.6rem;margin-right:0.35rem;border-radius:2px}"
    ".bars-g dl{display:grid;grid-template-columns:fit-content(7.5rem) 1fr;gap:0.45rem 0.75rem;margin:0;"
    "align-items:center}.bars-g dt{font-weight:400;text-align:right;line-height:1.2}"
    ".bars-g dd{margin:0;padding-right:3.6rem;border-left:1px solid rgba(128,128,128,0.35)}"
    ".bars-g dd div{display:flex;align-items:center;height:1.05rem}"
    ".bars-g dd i{height:0.85rem;border-radius:0 2px 2px 0;flex:none}"
    ".bars-g b{font-weight:400;padding-left:0.35rem;white-space:nowrap;font-variant-numeric:tabular-nums}"
    ".bars-g dd div:not(:first-child) b{opacity:0.7}"
    ".bars-g b span{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}")
_SIGNED = (
    ".bars-s{display:grid;grid-template-columns:minmax(0,max-content) minmax(11rem,1fr);gap:0 0.75rem;margin:0;"
    "font-size:0.875rem;align-items:stretch}"
    ".bars-s dt{font-weight:400;text-align:right;line-height:1.2;padding:0.2rem 0;overflow-wrap:anywhere}"
    ".bars-s dt span{opacity:0.7;white-space:nowrap}.bars-s dd{margin:0;display:grid;grid-template-columns:1fr 1fr;"
    "background:linear-gradient(rgba(128,128,128,0.5),rgba(128,128,128,0.5)) 50% 0/1px 100% no-repeat}"
    ".bars-s dd div{display:flex;align-items:center;min-width:0}.bars-s .up{grid-column:2}"
    ".bars-s .down{grid-column:1;flex-direction:row-reverse}.bars-s i{height:0.85rem;flex:none;border-radius:2px}"
    ".bars-s b{font-weight:400;padding:0 0.35rem;font-variant-numeric:tabular-nums}")

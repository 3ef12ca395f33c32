"""How models look on the pages (see :mod:`rurk_core.report.looks`), and the style of all pages."""

from __future__ import annotations

from rurk_core.report.looks import REFERENCES, Look, looks_of

__all__ = ["CSS", "REFERENCES", "Look", "looks_of"]

CSS = """<style>
.stApp { --rk-ink: light-dark(#1B2130, #E7EAF0); --rk-paper: light-dark(#FFFFFF, #12151C);
  --rk-quiet: light-dark(#555C6B, #ABB2C0);
  --rk-press: light-dark(#4A4AC8, #A3A3F7); }
/* the theme's own colours for these fall short of a contrast of 4.5:1 */
.stApp [data-testid=stCaptionContainer] { opacity: 1; }
.stApp [data-testid=stCaptionContainer] p { color: var(--rk-quiet); }
.stApp :is([aria-checked=true], [aria-pressed=true]) p, .stApp [data-testid=stSliderThumbValue] p {
  color: var(--rk-press); }
.stMainBlockContainer { padding: 3.4rem 2.2rem 4rem; max-width: 1320px; margin: 0 auto; }
.stMain h1 { letter-spacing: -0.02em; padding: 0; }
.rk-lead { color: var(--rk-quiet); max-width: 62rem; margin: .2rem 0 .1rem; line-height: 1.45; }
.rk-tag { display: inline-block; min-width: 1.9em; padding: 0 .35em; border-radius: .3em; font-weight: 700;
  font-size: .78em; line-height: 1.6; text-align: center; font-variant-numeric: tabular-nums; }
.rk-head { font-size: 1.22rem; line-height: 1.45; max-width: 56rem; text-wrap: pretty; }
.rk-head b { font-weight: 680; font-variant-numeric: tabular-nums; }
.rk-verdict { margin-top: .3rem; font-size: .95rem; text-wrap: pretty;
  color: var(--rk-quiet); }
.rk-table { width: 100%; border-collapse: collapse; font-size: .93rem; }
.rk-table td, .rk-table th { padding: .38rem .7rem .38rem 0; vertical-align: middle; text-align: left;
  border-bottom: 1px solid color-mix(in srgb, currentColor 12%, transparent); font-variant-numeric: tabular-nums; }
.rk-table th { font-weight: 500; font-size: .8rem; padding-top: 0;
  color: var(--rk-quiet); }
.rk-table tr:last-child td { border-bottom: 0; }
.rk-table .num { white-space: nowrap; }
.rk-table .quiet, .rk-quiet { color: var(--rk-quiet); }
.rk-bar { position: relative; height: .72rem; min-width: 5rem; border-radius: .36rem; overflow: hidden;
  background: color-mix(in srgb, currentColor 11%, transparent); }
.rk-bar i { position: absolute; inset: 0 auto 0 0; border-radius: .36rem 0 0 .36rem; }
.rk-bar u { position: absolute; top: 0; bottom: 0; background: #009E73; opacity: .38; }
.rk-stack { display: flex; height: 1.5rem; border-radius: .3rem; overflow: hidden; font-size: .78rem;
  line-height: 1.5rem; }
.rk-stack span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; text-align: center; min-width: 0;
  box-sizing: border-box; }
.rk-stack span + span { border-left: 1px solid var(--rk-paper); }
.rk-ends { display: flex; justify-content: space-between; font-size: .78rem; color: var(--rk-quiet); }
.rk-see { font-size: .9rem; color: var(--rk-quiet); max-width: 60rem; text-wrap: pretty; margin-top: -.35rem; }
.rk-term { font-style: inherit; cursor: help; text-decoration: underline dotted 1px; text-underline-offset: .22em;
  border-radius: .2em; position: relative; }
.rk-term:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
.rk-term:is(:hover, :focus-visible)::after { content: attr(data-help); position: absolute; z-index: 1000; left: 0;
  top: calc(100% + .35rem); width: max-content; max-width: min(21rem, 78vw); padding: .4rem .6rem;
  border-radius: .45rem; font-size: .8125rem; font-weight: 400; line-height: 1.45; letter-spacing: 0;
  white-space: normal; text-align: left; background: var(--rk-ink); color: var(--rk-paper); pointer-events: none; }
@supports (position-area: bottom span-right) {
  .rk-term:is(:hover, :focus-visible)::after { position: fixed; inset: auto; position-area: bottom span-right;
    margin-top: .35rem; position-try-fallbacks: flip-inline, flip-block, flip-inline flip-block; }
}
.rk-closeup { display: flex; gap: .7rem; }
.rk-closeup figure { margin: 0; flex: 1 1 0; min-width: 0; max-width: 11rem; }
.rk-closeup img { width: 100%; image-rendering: pixelated; border-radius: .35rem; display: block; min-height: 2.2rem;
  box-shadow: 0 0 0 1px color-mix(in srgb, currentColor 18%, transparent); }
.rk-closeup figcaption { font-size: .8rem; line-height: 1.35; color: var(--rk-quiet); margin-top: .3rem; }
.rk-scale { display: flex; align-items: center; gap: .3rem; font-size: .74rem; font-variant-numeric: tabular-nums; }
.rk-scale i { flex: 1; height: .45rem; border-radius: .2rem; min-width: 1rem;
  box-shadow: 0 0 0 1px color-mix(in srgb, currentColor 25%, transparent); }
.rk-share { display: flex; align-items: center; gap: .4rem; }
.rk-share .rk-bar { flex: 1; min-width: 1.4rem; }
.rk-share span { min-width: 2.4em; text-align: right; font-size: .85rem; }
.rk-probabilities td:first-child { max-width: 8rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.rk-see.rk-below { margin-top: .5rem; }
.rk-chips span { display: inline-flex; align-items: center; gap: .35rem; }
.rk-chips i { width: .95rem; height: .95rem; border-radius: .25rem;
  box-shadow: 0 0 0 1px color-mix(in srgb, currentColor 30%, transparent); }
.rk-panel { font-size: .93rem; font-weight: 560; }
.rk-words { font-size: .84rem; line-height: 1.4; margin: 0; }
.rk-words dt { font-weight: 620; margin-top: .5rem; }
.rk-words dd { margin: 0; color: var(--rk-quiet); }
.rk-scroll { overflow-x: auto; }
.rk-key { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; font-size: .86rem; align-items: center; }
.rk-key svg { vertical-align: -2px; margin-right: .15rem; }
.rk-empty { text-align: center; padding: 2.2rem 1rem .4rem; }
.rk-empty h2 { font-size: 1.5rem; padding: .6rem 0 .2rem; }
.rk-empty p { color: var(--rk-quiet); max-width: 34rem; margin: 0 auto; line-height: 1.5; text-wrap: pretty; }
.rk-plan { font-size: .95rem; line-height: 1.5; font-variant-numeric: tabular-nums; text-wrap: pretty; }
[data-testid=stLayoutWrapper]:has(> .st-key-tray) { position: sticky; top: 3.2rem; z-index: 50; }
.st-key-tray { background: var(--rk-paper);
  border: 1px solid color-mix(in srgb, currentColor 14%, transparent);
  border-radius: .7rem; padding: .6rem .8rem !important; box-shadow: 0 3px 14px rgb(0 0 0 / .07); }
.st-key-sample_picture .rk-tile { margin: 0; }
.stElementContainer:has(> .stHtml > style:only-child) { display: none; }
@media (max-width: 640px) {
  .stMainBlockContainer { padding: 4.2rem .9rem 3rem; }
  .rk-head { font-size: 1.08rem; }
  .rk-wide { display: none; }
  .rk-table td, .rk-table th { padding-right: .45rem; }
  .rk-bar { min-width: 3.2rem; }
}
</style>"""

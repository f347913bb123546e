// The panel that shows a footnote: the quote in its passage, with the text before and after it.

import { get } from "./api.js";
import { $, externalLink, make, place } from "./dom.js";
import { VERDICTS } from "./turn.js";

const AROUND = 600; // characters; the API returns as many on each side of a passage
const narrow = matchMedia("(max-width: 40rem)");
let opener = null;
let requests = 0;

/** Open the panel for a citation, or for a section without a quote. On closing, focus returns to `from`. */
export async function open(at, claims, from) {
  const request = ++requests;
  opener?.removeAttribute("aria-expanded");
  opener = from;
  opener.setAttribute("aria-expanded", "true");
  $("panel-title").textContent = at.n ? `Footnote ${at.n}` : "Section";
  $("panel-place").textContent = place(at);
  $("panel-link").replaceChildren(externalLink(at.url, "Open the source"));
  $("panel-body").replaceChildren(make("p", {}, "Loading…"));
  $("panel").hidden = false;
  $("main").inert = narrow.matches;
  $("panel-title").focus({ preventScroll: true });
  const shown = await loadContext(at);
  if (request !== requests) return;
  $("panel-body").replaceChildren(...content(at, claims, shown));
  const mark = $("panel-body").querySelector("mark");
  if (mark) $("panel-body").scrollTop = mark.offsetTop - $("panel-body").clientHeight / 3;
}

/** Handle that the marker which opened the panel was replaced by another element. */
export function replaceOpener(before, after) {
  if (opener !== before || !after) return;
  opener = after;
  opener.setAttribute("aria-expanded", "true");
}

export function close() {
  if ($("panel").hidden) return;
  requests += 1;
  $("panel").hidden = true;
  $("main").inert = false;
  opener?.removeAttribute("aria-expanded");
  (opener?.isConnected ? opener : $("question")).focus();
  opener = null;
}

export function start() {
  $("close-panel").addEventListener("click", close);
  narrow.addEventListener("change", () => { $("main").inert = narrow.matches && !$("panel").hidden; });
}

/** Return the current passage; else the version that was quoted; else the quote, which is saved with the answer. */
async function loadContext(at) {
  try {
    const { passage, before, after } = await get(`passages/${at.passage_id}`);
    const parts = splitPassage(passage.text, passage.start, at.quote ? [at.start, at.end] : null, passage.code);
    return { before, parts, after };
  } catch (error) {
    if (error.status !== 404 || !at.quote) return { parts: quoteOf(at), notice: error.message };
  }
  try {
    const { text } = await get(`sources/${at.source_id}/text?version=${at.source_version}`);
    const source = await get(`sources/${at.source_id}`);
    const characters = Array.from(text);
    return {
      before: characters.slice(Math.max(0, at.start - AROUND), at.start).join(""),
      parts: quoteOf(at),
      after: characters.slice(at.end, at.end + AROUND).join(""),
      notice: source.removed_at
        ? "The source was removed. This is the text that was quoted."
        : "The source has changed. This is the version that was quoted.",
    };
  } catch {
    return { parts: quoteOf(at), notice: "The source was deleted. The quote is saved with the answer." };
  }
}

const quoteOf = (at) => (at.quote ? [{ text: at.quote, quoted: true }] : []);

/** Split a passage at the borders of the quote and of code. Offsets are in code points, not in UTF-16 units. */
function splitPassage(text, offset, quote, code) {
  const characters = Array.from(text);
  const end = offset + characters.length;
  const borders = [offset, ...[quote ?? [], ...code].flat(), end].filter((at) => at >= offset && at <= end);
  const places = [...new Set(borders)].sort((a, b) => a - b);
  const within = (at, [from, to]) => from <= at && at < to;
  return places.slice(0, -1).map((at, index) => ({
    text: characters.slice(at - offset, places[index + 1] - offset).join(""),
    quoted: quote !== null && within(at, quote),
    coded: code.some((span) => within(at, span)),
  }));
}

function content(at, claims, { before = "", parts, after = "", notice }) {
  const pieces = parts.map(({ text, quoted, coded }) => {
    const piece = coded ? make("code", {}, text) : text;
    return quoted ? make("mark", {}, piece) : piece;
  });
  const source = make("div.source", { dir: "auto" },
    make("span.around", {}, (before.length < AROUND ? "" : "…") + before), ...pieces,
    make("span.around", {}, after + (after.length < AROUND ? "" : "…")));
  return [
    notice ? make("p.told", {}, notice) : null,
    pieces.length ? source : null,
    claims.length ? claimList(claims) : null,
    details(at.metadata ?? {}),
  ].filter(Boolean);
}

function claimList(claims) {
  return make("section.claims", {}, make("h3", {}, "Claims with this footnote"),
    make("ul", { dir: "auto" }, ...claims.map(({ text, verdict, score }) => make("li", {}, text, " ",
      make(`span.verdict-words.${verdict}`, {},
        VERDICTS[verdict] + (score === null ? "" : `, ${score.toFixed(2)}`))))));
}

/** Return the source's metadata, for example whether it was peer-reviewed. */
function details(metadata) {
  const plain = Object.entries(metadata).filter(([, value]) => typeof value !== "object");
  if (!plain.length) return null;
  return make("dl", {}, ...plain.flatMap(([name, value]) =>
    [make("dt", {}, name.replaceAll("_", " ")), make("dd", {}, { true: "yes", false: "no" }[value] ?? String(value))]));
}

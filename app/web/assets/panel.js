// A footnote opened: the quote in its passage, with what stands before and after it.

import { get } from "./api.js";
import { $, make, outward, place } from "./dom.js";
import { VERDICTS } from "./turn.js";

const AROUND = 600; // characters, as many as the API gives on either side of a passage
const narrow = matchMedia("(max-width: 40rem)");
let opener = null;
let asked = 0;

/** `at` is a citation, or a section without a quote; focus goes back to `from` at the end. */
export async function open(at, claims, from) {
  const turn = ++asked;
  opener?.removeAttribute("aria-expanded");
  opener = from;
  opener.setAttribute("aria-expanded", "true");
  $("panel-title").textContent = at.n ? `Footnote ${at.n}` : "Section";
  $("panel-place").textContent = place(at);
  $("panel-link").replaceChildren(outward(at.url, "Open at its place"));
  $("panel-body").replaceChildren(make("p", {}, "Opening…"));
  $("panel").hidden = false;
  $("main").inert = narrow.matches;
  $("panel-title").focus({ preventScroll: true });
  const shown = await surroundings(at);
  if (turn !== asked) return;
  $("panel-body").replaceChildren(...content(at, claims, shown));
  const mark = $("panel-body").querySelector("mark");
  if (mark) $("panel-body").scrollTop = mark.offsetTop - $("panel-body").clientHeight / 3;
}

/** The marker that the panel was opened from has become another element. */
export function replaced(before, after) {
  if (opener !== before || !after) return;
  opener = after;
  opener.setAttribute("aria-expanded", "true");
}

export function close() {
  if ($("panel").hidden) return;
  asked += 1;
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

/** The passage as it serves; or the version that was quoted; or the quote, which is always kept. */
async function surroundings(at) {
  try {
    const { passage, before, after } = await get(`passages/${at.passage_id}`);
    const parts = cut(passage.text, passage.start, at.quote ? [at.start, at.end] : null, passage.code);
    return { before, parts, after };
  } catch (error) {
    if (error.status !== 404 || !at.quote) return { parts: quoteOf(at), told: error.message };
  }
  try {
    const { text } = await get(`sources/${at.source_id}/text?version=${at.source_version}`);
    const source = await get(`sources/${at.source_id}`);
    const characters = Array.from(text);
    return {
      before: characters.slice(Math.max(0, at.start - AROUND), at.start).join(""),
      parts: quoteOf(at),
      after: characters.slice(at.end, at.end + AROUND).join(""),
      told: source.removed_at
        ? "The source is gone since: this is what it said."
        : "The source has changed since: this is the version that was quoted.",
    };
  } catch {
    return { parts: quoteOf(at), told: "The source is gone; the quote was kept with the answer." };
  }
}

const quoteOf = (at) => (at.quote ? [{ text: at.quote, quoted: true }] : []);

/** A passage cut at the borders of the quote and of code; offsets count code points, not units. */
function cut(text, offset, quote, code) {
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

function content(at, claims, { before = "", parts, after = "", told }) {
  const pieces = parts.map(({ text, quoted, coded }) => {
    const piece = coded ? make("code", {}, text) : text;
    return quoted ? make("mark", {}, piece) : piece;
  });
  const source = make("div.source", { dir: "auto" },
    make("span.around", {}, (before.length < AROUND ? "" : "…") + before), ...pieces,
    make("span.around", {}, after + (after.length < AROUND ? "" : "…")));
  return [
    told ? make("p.told", {}, told) : null,
    pieces.length ? source : null,
    claims.length ? resting(claims) : null,
    details(at.metadata ?? {}),
  ].filter(Boolean);
}

function resting(claims) {
  return make("section.resting", {}, make("h3", {}, "What rests on it"),
    make("ul", { dir: "auto" }, ...claims.map(({ text, verdict, score }) => make("li", {}, text, " ",
      make(`span.verdict-words.${verdict}`, {},
        VERDICTS[verdict] + (score === null ? "" : `, ${score.toFixed(2)}`))))));
}

/** What the source says of itself: whether it was peer-reviewed, for one. */
function details(metadata) {
  const plain = Object.entries(metadata).filter(([, value]) => typeof value !== "object");
  if (!plain.length) return null;
  return make("dl", {}, ...plain.flatMap(([name, value]) =>
    [make("dt", {}, name.replaceAll("_", " ")), make("dd", {}, { true: "yes", false: "no" }[value] ?? String(value))]));
}

// A question and its answer: as it streams, and as it was kept.

import { announce, fragment, make, outward, place } from "./dom.js";
import { toMarkdown } from "./markdown.js";

export const VERDICTS = {
  supported: "supported",
  partial: "supported in part",
  unsupported: "not supported",
  unchecked: "not checked",
};

const REASONS = {
  nothing_relevant: "The documentation does not cover this question.",
  not_supported: "The documentation does not bear out an answer to this question.",
  out_of_scope: "This question lies outside of what the documentation covers.",
};

export class Turn {
  /** `panel` is where footnotes and sections are opened. */
  constructor(question, panel) {
    this.panel = panel;
    this.citations = new Map();
    this.claims = [];
    this.progress = make("p.progress", {}, "Searching…");
    this.words = make("p.stream", { dir: "auto" });
    this.answer = make("div.answer", {}, this.words);
    this.title = make("h2.question", { dir: "auto", tabindex: "-1" }, question);
    this.element = make("article.turn", {}, this.title, this.progress, this.answer);
    this.element.addEventListener("click", (event) => this.clicked(event));
  }

  /** Read out once it is complete, not word by word. */
  live() {
    this.element.classList.add("live");
    this.answer.setAttribute("aria-live", "polite");
    this.answer.setAttribute("aria-busy", "true");
    announce("Searching");
  }

  retrieved(passages) {
    const count = passages.length;
    if (count) this.progress.textContent = `Reading ${count} ${count === 1 ? "passage" : "passages"}…`;
  }

  cited(citation) {
    this.citations.set(citation.n, citation);
  }

  token(text) {
    const n = Number(/^\[(\d+)\]$/.exec(text)?.[1]);
    this.words.append(this.citations.has(n) ? marker(n) : text);
  }

  /** What was said so far is void: a model broke off, or had only thought aloud. */
  restart() {
    this.words.replaceChildren();
    this.citations.clear();
    this.progress.textContent = "The answer begins anew…";
  }

  complete(answer, html) {
    this.progress.remove();
    this.claims = answer.claims;
    answer.claims.flatMap((claim) => claim.citations).forEach((citation) => this.cited(citation));
    if (answer.status === "abstained") return this.decline(answer.abstention);
    this.set(html);
    this.finish(`The answer is complete, with ${this.citations.size} footnotes.`);
    this.element.append(...[verdicts(answer), footnotes(this.citations), actions(answer)].filter(Boolean));
  }

  /** Whoever stood on a marker of the stream, or had opened it, finds the same one again. */
  set(html) {
    const focused = this.answer.contains(document.activeElement) && document.activeElement.dataset.note;
    const opened = this.answer.querySelector("[aria-expanded]");
    this.answer.replaceChildren(...fragment(html));
    const same = (n) => this.answer.querySelector(`[data-note="${n}"]`);
    if (focused) same(focused)?.focus({ preventScroll: true });
    if (opened) this.panel.replaced(opened, same(opened.dataset.note));
  }

  fail(sentence) {
    this.progress.remove();
    this.finish("");
    if (!this.words.textContent) this.answer.remove();
    this.element.classList.add("failed");
    const role = this.element.isConnected && "alert";
    this.element.append(make("p.error", { role }, sentence));
  }

  decline({ reason, nearest }) {
    const sections = nearest.map((near) => make("li", {}, make("div.entry", {},
      make("button.section", { type: "button", dir: "auto", onclick: (event) =>
        this.panel.open(near, [], event.currentTarget) }, place(near)),
      outward(near.url, "Open"))));
    this.answer.replaceChildren(make("div.declined", {},
      make("p", {}, make("strong", {}, REASONS[reason]), " Nothing was made up in its place."),
      sections.length ? make("p", {}, "The nearest sections:") : null,
      sections.length ? make("ul", {}, ...sections) : null));
    this.finish("The question was declined.");
  }

  finish(told) {
    this.answer.removeAttribute("aria-busy");
    if (this.element.isConnected) announce(told);
  }

  clicked({ target }) {
    const button = target.closest("[data-note]");
    if (!button) return;
    const n = Number(button.dataset.note);
    const resting = this.claims
      .map((claim, index) => ({ ...claim, text: this.shown(index) || claim.text }))
      .filter((claim) => claim.citations.some((one) => one.n === n));
    this.panel.open(this.citations.get(n), resting, button);
  }

  /** The words of a claim as they are set, without their markup. */
  shown(index) {
    const parts = this.answer.querySelectorAll(`[data-claim="${index}"]`);
    return [...parts].map((part) => part.textContent).join("");
  }
}

function marker(n) {
  return make("button.note", { type: "button", "data-note": n, "aria-label": `Footnote ${n}` }, String(n));
}

/** How many claims fared how: also the key to the signs in the text. */
function verdicts({ claims }) {
  const shown = claims.filter((claim) => claim.citations.length || claim.verdict !== "unchecked");
  const counts = Object.entries(VERDICTS)
    .map(([verdict, words]) => [verdict, words, shown.filter((c) => c.verdict === verdict).length])
    .filter(([, , count]) => count);
  if (!counts.length) return null;
  return make("ul.verdicts", { "aria-label": "Claims" }, ...counts.map(([verdict, words, count]) =>
    make(`li.${verdict}`, {}, `${count} ${count === 1 ? "claim" : "claims"} ${words}`)));
}

/** As in a book: a note that points where the last one did says so. */
function footnotes(citations) {
  if (!citations.size) return null;
  const notes = [...citations.values()].sort((a, b) => a.n - b.n);
  return make("ol.notes", { "aria-label": "Footnotes" }, ...notes.map((citation, index) => {
    const same = index > 0 && place(notes[index - 1]) === place(citation);
    const name = same ? make("i", { title: place(citation) }, "Ibid.") : place(citation);
    return make("li", { value: citation.n },
      make("div.entry", {},
        make("button.section", { type: "button", "data-note": citation.n, dir: "auto" }, name),
        outward(citation.url, "Open")),
      make("div.quote", { dir: "auto" }, `“${citation.quote}”`));
  }));
}

function actions(answer) {
  const copy = make("button.plain", { type: "button", onclick: async () => {
    const copied = await navigator.clipboard.writeText(toMarkdown(answer)).then(() => true, () => false);
    copy.textContent = copied ? "Copied" : "The browser does not let this page copy";
    announce(copy.textContent);
    setTimeout(() => { copy.textContent = "Copy as Markdown"; }, 2500);
  } }, "Copy as Markdown");
  const author = answer.model === "extractive"
    ? "Sentences of the sources themselves, quoted."
    : `Written by ${answer.model}.`;
  const cut = answer.finish === "length" ? " The model ran into its limit: the answer may be cut short." : "";
  return make("p.actions", {}, copy, make("span", {}, author + cut));
}

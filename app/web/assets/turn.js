// A question and its answer, while it is streamed and when it is complete.

import { announce, externalLink, fragment, make, place } from "./dom.js";
import { toMarkdown } from "./markdown.js";

export const VERDICTS = {
  supported: "supported",
  partial: "supported in part",
  unsupported: "not supported",
  unchecked: "not checked",
};

const REASONS = {
  nothing_relevant: "The documentation does not cover this question.",
  not_supported: "The documentation does not support an answer to this question.",
  out_of_scope: "This question is outside the scope of the documentation.",
};

export class Turn {
  /** Footnotes and sections are opened in `panel`. */
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

  /** Have screen readers read the answer when it is complete, not word by word. */
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

  /** Discard the text so far: the model failed, or the text was only its reasoning. */
  restart() {
    this.words.replaceChildren();
    this.citations.clear();
    this.progress.textContent = "Starting the answer again…";
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

  /** Replace the streamed text by the HTML. Keep the focus and the opened footnote. */
  set(html) {
    const focused = this.answer.contains(document.activeElement) && document.activeElement.dataset.note;
    const opened = this.answer.querySelector("[aria-expanded]");
    this.answer.replaceChildren(...fragment(html));
    const markerOf = (n) => this.answer.querySelector(`[data-note="${n}"]`);
    if (focused) markerOf(focused)?.focus({ preventScroll: true });
    if (opened) this.panel.replaceOpener(opened, markerOf(opened.dataset.note));
  }

  fail(message) {
    this.progress.remove();
    this.finish("");
    if (!this.words.textContent) this.answer.remove();
    this.element.classList.add("failed");
    const role = this.element.isConnected && "alert";
    this.element.append(make("p.error", { role }, message));
  }

  decline({ reason, nearest }) {
    const sections = nearest.map((near) => make("li", {}, make("div.entry", {},
      make("button.section", { type: "button", dir: "auto", onclick: (event) =>
        this.panel.open(near, [], event.currentTarget) }, place(near)),
      externalLink(near.url, "Open"))));
    this.answer.replaceChildren(make("div.declined", {},
      make("p", {}, make("strong", {}, REASONS[reason]), " No answer was made up."),
      sections.length ? make("p", {}, "The nearest sections:") : null,
      sections.length ? make("ul", {}, ...sections) : null));
    this.finish("The question was declined.");
  }

  finish(message) {
    this.answer.removeAttribute("aria-busy");
    if (this.element.isConnected) announce(message);
  }

  clicked({ target }) {
    const button = target.closest("[data-note]");
    if (!button) return;
    const n = Number(button.dataset.note);
    const claims = this.claims
      .map((claim, index) => ({ ...claim, text: this.shown(index) || claim.text }))
      .filter((claim) => claim.citations.some((one) => one.n === n));
    this.panel.open(this.citations.get(n), claims, button);
  }

  /** Return the text of a claim as it is shown, without markup. */
  shown(index) {
    const parts = this.answer.querySelectorAll(`[data-claim="${index}"]`);
    return [...parts].map((part) => part.textContent).join("");
  }
}

function marker(n) {
  return make("button.note", { type: "button", "data-note": n, "aria-label": `Footnote ${n}` }, String(n));
}

/** Return the number of claims per verdict. It is also the legend of the signs in the text. */
function verdicts({ claims }) {
  const shown = claims.filter((claim) => claim.citations.length || claim.verdict !== "unchecked");
  const counts = Object.entries(VERDICTS)
    .map(([verdict, words]) => [verdict, words, shown.filter((c) => c.verdict === verdict).length])
    .filter(([, , count]) => count);
  if (!counts.length) return null;
  return make("ul.verdicts", { "aria-label": "Claims" }, ...counts.map(([verdict, words, count]) =>
    make(`li.${verdict}`, {}, `${count} ${count === 1 ? "claim" : "claims"} ${words}`)));
}

/** Return the footnotes. One with the same place as the previous one says “Ibid.”, as in a book. */
function footnotes(citations) {
  if (!citations.size) return null;
  const notes = [...citations.values()].sort((a, b) => a.n - b.n);
  return make("ol.notes", { "aria-label": "Footnotes" }, ...notes.map((citation, index) => {
    const same = index > 0 && place(notes[index - 1]) === place(citation);
    const name = same ? make("i", { title: place(citation) }, "Ibid.") : place(citation);
    return make("li", { value: citation.n },
      make("div.entry", {},
        make("button.section", { type: "button", "data-note": citation.n, dir: "auto" }, name),
        externalLink(citation.url, "Open")),
      make("div.quote", { dir: "auto" }, `“${citation.quote}”`));
  }));
}

function actions(answer) {
  const copy = make("button.plain", { type: "button", onclick: async () => {
    const copied = await navigator.clipboard.writeText(toMarkdown(answer)).then(() => true, () => false);
    copy.textContent = copied ? "Copied" : "The browser does not allow copying";
    announce(copy.textContent);
    setTimeout(() => { copy.textContent = "Copy as Markdown"; }, 2500);
  } }, "Copy as Markdown");
  const author = answer.model === "extractive"
    ? "Quoted from the sources."
    : `Written by ${answer.model}.`;
  const cut = answer.finish === "length" ? " The model reached its limit, so the answer may be incomplete." : "";
  return make("p.actions", {}, copy, make("span", {}, author + cut));
}

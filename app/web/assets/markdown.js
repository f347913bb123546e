// An answer as Markdown with footnotes, to be pasted where its reader writes.

import { place } from "./dom.js";

const CODE_OR_MARKER = /(^(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\2|(`+)[^`][\s\S]*?\3)|(?<!\\)\[(\d+)\]/gm;

/** `[1]` becomes `[^1]`, but not in code; each footnote quotes its source and links to it. */
export function toMarkdown(answer) {
  const citations = new Map(answer.claims.flatMap((claim) => claim.citations).map((c) => [c.n, c]));
  const text = answer.text.replace(CODE_OR_MARKER, (whole, code, _fence, _ticks, n) =>
    code || !citations.has(Number(n)) ? whole : `[^${n}]`);
  const notes = [...citations.values()].sort((a, b) => a.n - b.n).map(note);
  return [text.trim(), ...(notes.length ? [notes.join("\n")] : [])].join("\n\n") + "\n";
}

function note(citation) {
  const name = place(citation).replace(/[\\[\]`*_<]/g, "\\$&");
  const quote = citation.quote.replace(/\s+/g, " ").replace(/[\\`*_<[\]]/g, "\\$&");
  const url = citation.url.replace(/[<>\s\\]/g, encodeURIComponent);
  return `[^${citation.n}]: [${name}](<${url}>): “${quote}”`;
}

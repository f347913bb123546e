// Export of an answer as Markdown with footnotes.

import { place } from "./dom.js";

const CODE_OR_MARKER = /(^(`{3,}|~{3,})[^\n]*\n[\s\S]*?^\2|(`+)[^`][\s\S]*?\3)|(?<!\\)\[(\d+)\]/gm;

/** Replace `[1]` by `[^1]`, except in code, and add footnotes with the quotes and links. */
export function toMarkdown(answer) {
  const citations = new Map(answer.claims.flatMap((claim) => claim.citations).map((c) => [c.n, c]));
  const text = answer.text.replace(CODE_OR_MARKER, (whole, code, _fence, _ticks, n) =>
    code || !citations.has(Number(n)) ? whole : `[^${n}]`);
  const notes = [...citations.values()].sort((a, b) => a.n - b.n).map(footnote);
  return [text.trim(), ...(notes.length ? [notes.join("\n")] : [])].join("\n\n") + "\n";
}

function footnote(citation) {
  const name = place(citation).replace(/[\\[\]`*_<]/g, "\\$&");
  const quote = citation.quote.replace(/\s+/g, " ").replace(/[\\`*_<[\]]/g, "\\$&");
  const url = citation.url.replace(/[<>\s\\]/g, encodeURIComponent);
  return `[^${citation.n}]: [${name}](<${url}>): “${quote}”`;
}

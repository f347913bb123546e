// Elements from words: text is always text, never markup.

/** `make("p.note", {title}, "words", child)`; a property that is false or missing is left out. */
export function make(what, properties = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  element.classList.add(...classes);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const $ = (id) => document.getElementById(id);

/** Heard by a screen reader when it has finished its sentence. */
export function announce(words) {
  $("status").textContent = words;
}

/** HTML that the server has sanitised; parsed apart from the page, where nothing runs. */
export function fragment(html) {
  return [...new DOMParser().parseFromString(html, "text/html").body.childNodes];
}

/** “Lighting the lamp › Fuel, p. 3”. */
export function place({ title, section, page }) {
  const path = section[0] === title ? section : [title, ...section];
  return path.join(" › ") + (page ? `, p. ${page}` : "");
}

/** A link to a page in a tab of its own; a browser follows none to a file, so that one is named. */
export function outward(url, words) {
  if (/^https?:/.test(url)) {
    return make("a.outward", { href: url, target: "_blank", rel: "noopener noreferrer" }, words,
      make("span", { "aria-hidden": "true" }, " ↗"));
  }
  const path = url.startsWith("file:") ? decodeURI(new URL(url).pathname + new URL(url).hash) : url;
  return make("code.path", {}, path);
}

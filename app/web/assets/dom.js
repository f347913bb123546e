// Functions that create elements. Strings are always inserted as text, never as markup.

/** Create an element: `make("p.note", {title}, "text", child)`. Properties that are false or missing are left out. */
export function make(selector, properties = {}, ...children) {
  const [tag, ...classes] = selector.split(".");
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

/** Have a screen reader say this text when it has finished its current sentence. */
export function announce(text) {
  $("status").textContent = text;
}

/** Parse HTML that the server has sanitised. It is parsed in a separate document, where no script runs. */
export function fragment(html) {
  return [...new DOMParser().parseFromString(html, "text/html").body.childNodes];
}

/** Return the title, sections and page: “Lighting the lamp › Fuel, p. 3”. */
export function place({ title, section, page }) {
  const path = section[0] === title ? section : [title, ...section];
  return path.join(" › ") + (page ? `, p. ${page}` : "");
}

/** Return a link that opens in a new tab. Browsers do not follow links to files, so a file's path is shown as text. */
export function externalLink(url, text) {
  if (/^https?:/.test(url)) {
    return make("a.external", { href: url, target: "_blank", rel: "noopener noreferrer" }, text,
      make("span", { "aria-hidden": "true" }, " ↗"));
  }
  const path = url.startsWith("file:") ? decodeURI(new URL(url).pathname + new URL(url).hash) : url;
  return make("code.path", {}, path);
}

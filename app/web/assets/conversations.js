// The list of conversations, most recently used first.

import { get, remove } from "./api.js";
import { $, announce, make } from "./dom.js";

const PAGE = 50;
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
let conversations = [];
let current = null;
let onRemoved = () => {};

export function start({ removed }) {
  onRemoved = removed;
  $("older").addEventListener("click", () => load(conversations.length + PAGE));
}

/** Load the list: at least one page, and as many conversations as are shown already. */
export async function load(count = Math.max(PAGE, conversations.length)) {
  conversations = [];
  let cursor = "";
  do {
    const { conversations: page, next } = await get(`conversations?limit=${PAGE}${cursor}`);
    conversations.push(...page);
    cursor = next && `&cursor=${encodeURIComponent(next)}`;
    $("older").hidden = !cursor;
  } while (cursor && conversations.length < count);
  $("conversations").replaceChildren(...conversations.map(item));
}

export function select(id) {
  current = id;
  for (const link of $("conversations").querySelectorAll("a")) {
    if (link.hash === `#${id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function item({ id, title, updated_at }) {
  const name = title || "Untitled";
  const link = make("a", { href: `#${id}`, "aria-current": id === current && "page" },
    make("span.name", { dir: "auto" }, name),
    make("time", { datetime: updated_at }, day.format(new Date(updated_at))));
  return make("li", {}, link, deleteButton(id, name));
}

/** Return a button that deletes on the second click. Its label asks for the second click until it loses focus. */
function deleteButton(id, name) {
  const reset = () => {
    button.classList.remove("confirm");
    button.textContent = "✕";
    button.setAttribute("aria-label", `Delete “${name}”`);
  };
  const button = make("button.delete", { type: "button", onblur: reset, onclick: async () => {
    if (!button.classList.contains("confirm")) {
      button.classList.add("confirm");
      button.textContent = "Delete?";
      button.setAttribute("aria-label", `Really delete “${name}”?`);
      return;
    }
    try {
      await remove(`conversations/${id}`);
    } catch (error) {
      announce(error.message);
      return;
    }
    const next = button.closest("li").nextElementSibling ?? button.closest("li").previousElementSibling;
    button.closest("li").remove();
    (next?.querySelector("a") ?? $("new")).focus();
    announce("Deleted");
    onRemoved(id);
  } });
  reset();
  return button;
}

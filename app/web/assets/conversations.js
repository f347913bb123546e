// The conversations, last used first: opened, deleted, and the older ones fetched.

import { get, remove } from "./api.js";
import { $, announce, make } from "./dom.js";

const PAGE = 50;
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
let listed = [];
let current = null;
let onRemoved = () => {};

export function start({ removed }) {
  onRemoved = removed;
  $("older").addEventListener("click", () => load(listed.length + PAGE));
}

/** As many as are shown already, at least one page. */
export async function load(count = Math.max(PAGE, listed.length)) {
  listed = [];
  let place = "";
  do {
    const { conversations, next } = await get(`conversations?limit=${PAGE}${place}`);
    listed.push(...conversations);
    place = next && `&cursor=${encodeURIComponent(next)}`;
    $("older").hidden = !place;
  } while (place && listed.length < count);
  $("conversations").replaceChildren(...listed.map(item));
}

export function select(id) {
  current = id;
  for (const link of $("conversations").querySelectorAll("a")) {
    if (link.hash === `#${id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function item({ id, title, updated_at }) {
  const name = title || "Without a question yet";
  const link = make("a", { href: `#${id}`, "aria-current": id === current && "page" },
    make("span.name", { dir: "auto" }, name),
    make("time", { datetime: updated_at }, day.format(new Date(updated_at))));
  return make("li", {}, link, deletion(id, name));
}

/** Asks once more before it deletes: by its own words, until the focus leaves it. */
function deletion(id, name) {
  const calm = () => {
    button.classList.remove("sure");
    button.textContent = "✕";
    button.setAttribute("aria-label", `Delete “${name}”`);
  };
  const button = make("button.delete", { type: "button", onblur: calm, onclick: async () => {
    if (!button.classList.contains("sure")) {
      button.classList.add("sure");
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
  calm();
  return button;
}

// Who asks: a token that another page hands over in the address, kept by this tab and no longer.

import { signIn } from "./api.js";
import { $, make } from "./dom.js";

const KEY = "ibid-token";
const link = document.body.dataset.signIn;
let ended = false;

$("sign-out").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  location.assign(location.pathname);
});

/** Takes the token out of the address (`#token=…`) before anybody can copy it from there. */
export function arrive() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname);
  }
  be(sessionStorage.getItem(KEY) ?? "");
}

/** What to show when the server knows nobody by the token that there is, or is not. */
export function wanted() {
  ended ||= sessionStorage.getItem(KEY) !== null;
  sessionStorage.removeItem(KEY);
  be("");
  const told = ended ? "You are no longer signed in." : "Sign in to ask.";
  return make("p", { role: "alert" }, told, " ", link ? make("a", { href: link }, "Sign in") : "");
}

function be(token) {
  signIn(token);
  $("sign-out").hidden = !token;
}

// Sign-in with a token that the sign-in page passes in the URL. It is stored until this tab is closed.

import { setToken } from "./api.js";
import { $, make } from "./dom.js";

const KEY = "ibid-token";
const link = document.body.dataset.signIn;
let hasExpired = false;

$("sign-out").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  location.assign(location.pathname);
});

/** Read the token and remove it from the URL (`#token=…`), so that nobody copies it with the URL. */
export function readToken() {
  const sent = new URLSearchParams(location.hash.slice(1)).get("token");
  if (sent) {
    sessionStorage.setItem(KEY, sent);
    history.replaceState(null, "", location.pathname);
  }
  useToken(sessionStorage.getItem(KEY) ?? "");
}

/** Forget the token and return the notice for a request without a valid one. */
export function signInNotice() {
  hasExpired ||= sessionStorage.getItem(KEY) !== null;
  sessionStorage.removeItem(KEY);
  useToken("");
  const message = hasExpired ? "You are no longer signed in." : "Sign in to ask.";
  return make("p", { role: "alert" }, message, " ", link ? make("a", { href: link }, "Sign in") : "");
}

function useToken(token) {
  setToken(token);
  $("sign-out").hidden = !token;
}

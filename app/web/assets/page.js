// The page. It shows one conversation; the fragment of the URL is its id.

import { ask, get, getText, post } from "./api.js";
import * as conversations from "./conversations.js";
import { $, announce, make } from "./dom.js";
import * as panel from "./panel.js";
import * as signin from "./signin.js";
import { Turn } from "./turn.js";

const narrow = matchMedia("(max-width: 56rem)");
let conversation = null;
let running = null;

async function send(event) {
  event?.preventDefault();
  const text = $("question").value.trim();
  if (!text || running) return;
  const turn = startTurn(text);
  try {
    conversation ??= await createConversation();
    const corpora = $("corpus").value ? [$("corpus").value] : [];
    for await (const [kind, data] of ask(conversation, { text, corpora }, running.signal)) {
      if (kind === "retrieved") turn.retrieved(data.passages);
      if (kind === "cited") turn.cited(data.citation);
      if (kind === "token") turn.token(data.text);
      if (kind === "restart") turn.restart();
      if (kind === "completed") await complete(turn, data.answer);
    }
  } catch (error) {
    turn.fail(error.name === "AbortError" ? "Stopped." : error.message);
    if (error.status === 401) showError(error);
    $("question").value ||= text;
    $("question").focus({ preventScroll: true });
  }
  setRunning(null);
  conversations.load().catch(() => {});
}

function startTurn(text) {
  const turn = new Turn(text, panel);
  $("thread").querySelector(".failed:last-child")?.remove();
  $("thread").append(turn.element);
  $("welcome").hidden = true;
  showNotice("");
  if (!conversation) setTitle(text);
  $("question").value = "";
  setRunning(new AbortController());
  turn.live();
  (narrow.matches ? turn.title : $("question")).focus({ preventScroll: true });
  const reducesMotion = matchMedia("(prefers-reduced-motion: reduce)").matches;
  turn.element.scrollIntoView({ block: "start", behavior: reducesMotion ? "auto" : "smooth" });
  return turn;
}

async function createConversation() {
  const { id } = await post("conversations", {});
  history.pushState(null, "", `#${id}`);
  conversations.select(id);
  return id;
}

async function complete(turn, answer) {
  const declined = answer.status === "abstained";
  turn.complete(answer, declined ? "" : await getText(`messages/${answer.message_id}/html`));
}

/** Show the conversation that the URL names, or a new one. */
async function open() {
  signin.readToken();
  const id = location.hash.slice(1) || null;
  panel.close();
  conversation = id;
  conversations.select(id);
  $("thread").replaceChildren();
  $("welcome").hidden = id !== null;
  showNotice("");
  showSidebar(false);
  showWelcome();
  if (id === null) return showNewConversation();
  try {
    const { title, messages } = await get(`conversations/${id}`);
    const turns = await savedTurns(messages);
    if (conversation !== id) return;
    setTitle(title || "Untitled");
    $("thread").replaceChildren(...turns.map((turn) => turn.element));
    $("title").focus({ preventScroll: true });
    scrollTo(0, document.body.scrollHeight);
  } catch (error) {
    if (conversation === id) showError(error);
  }
}

/** Return a turn for each question, with its answer. A question that failed has no answer. */
function savedTurns(messages) {
  const questions = messages.map(({ role, text }, at) => role === "user" && [text, messages[at + 1]?.answer]);
  return Promise.all(questions.filter(Boolean).map(async ([text, answer]) => {
    const turn = new Turn(text, panel);
    if (answer) await complete(turn, answer);
    else turn.fail("This question has no answer.");
    return turn;
  }));
}

function showNewConversation() {
  setTitle("New conversation");
  document.title = "Ibid";
  if (!narrow.matches) $("question").focus();
}

/** Show what can be asked or, if nothing was ingested yet, which command to run. */
async function showWelcome() {
  try {
    const { corpora } = await get("corpora");
    const filled = corpora.filter((corpus) => corpus.passages);
    $("scope").hidden = filled.length < 2;
    const chosen = $("corpus").value;
    $("corpus").replaceChildren(make("option", { value: "" }, "all corpora"),
      ...filled.map(({ name }) => make("option", { value: name }, name)));
    $("corpus").value = filled.some(({ name }) => name === chosen) ? chosen : "";
    $("welcome").replaceChildren(...(filled.length ? welcomeText(filled) : emptyText()));
  } catch (error) {
    showError(error);
  }
}

function welcomeText(corpora) {
  const total = corpora.reduce((sum, corpus) => sum + corpus.sources, 0);
  const pages = `${total.toLocaleString()} ${total === 1 ? "page" : "pages"}`;
  return [make("h2", {}, "What would you like to know?"),
    make("p", {}, `Answers come from ${pages} of documentation. Every claim has a footnote that opens `
      + "the exact words of its source. Questions that the pages do not answer are declined.")];
}

function emptyText() {
  return [make("h2", {}, "Nothing has been ingested yet"),
    make("p", {}, "Run this in a terminal to ingest a folder of documents:"),
    make("pre", {}, make("code", {}, "ibid ingest path/to/docs")),
    make("p", {}, make("button", { type: "button", onclick: showWelcome }, "Refresh"))];
}

function setTitle(title) {
  $("title").textContent = title;
  document.title = `${title} · Ibid`;
}

function showNotice(message) {
  $("notice").hidden = !message;
  $("notice").replaceChildren(...(message ? [make("p.error", { role: "alert" }, message)] : []));
}

/** Show why a request failed. If it needs sign-in, show the link to the sign-in page. */
function showError(error) {
  if (error.status !== 401) return showNotice(error.message);
  $("notice").hidden = false;
  $("notice").replaceChildren(signin.signInNotice());
}

function setRunning(controller) {
  running = controller;
  $("send").hidden = controller !== null;
  $("stop").hidden = controller === null;
}

function showSidebar(shown) {
  document.body.classList.toggle("sidebar", shown);
  $("open-sidebar").setAttribute("aria-expanded", String(shown));
  $("main").inert = shown;
  if (shown) $("close-sidebar").focus();
}

function startNew(event) {
  event.preventDefault();
  history.pushState(null, "", location.pathname);
  open();
}

function onKey(event) {
  if (event.key !== "Escape") return;
  if (document.body.classList.contains("sidebar")) {
    showSidebar(false);
    $("open-sidebar").focus();
  } else panel.close();
}

$("ask").addEventListener("submit", send);
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) send(event);
});
$("stop").addEventListener("click", () => running?.abort());
$("new").addEventListener("click", startNew);
$("home").addEventListener("click", startNew);
$("open-sidebar").addEventListener("click", () => showSidebar(true));
$("close-sidebar").addEventListener("click", () => { showSidebar(false); $("open-sidebar").focus(); });
document.addEventListener("keydown", onKey);
addEventListener("popstate", open);
panel.start();
conversations.start({ removed: (id) => { if (id === conversation) startNew(new Event("removed")); } });
open();
conversations.load().catch(() => {}); // the welcome text shows the error

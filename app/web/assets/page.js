// The page: one conversation at a time, the address's fragment says which.

import { ask, get, getText, post } from "./api.js";
import * as conversations from "./conversations.js";
import { $, announce, make } from "./dom.js";
import * as panel from "./panel.js";
import * as signin from "./signin.js";
import { Turn } from "./turn.js";

const small = matchMedia("(max-width: 56rem)");
let conversation = null;
let running = null;

async function send(event) {
  event?.preventDefault();
  const text = $("question").value.trim();
  if (!text || running) return;
  const turn = begin(text);
  try {
    conversation ??= await begun();
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
    if (error.status === 401) refused(error);
    $("question").value ||= text;
    $("question").focus({ preventScroll: true });
  }
  work(null);
  conversations.load().catch(() => {});
}

function begin(text) {
  const turn = new Turn(text, panel);
  $("thread").querySelector(".failed:last-child")?.remove();
  $("thread").append(turn.element);
  $("welcome").hidden = true;
  tell("");
  if (!conversation) name(text);
  $("question").value = "";
  work(new AbortController());
  turn.live();
  (small.matches ? turn.title : $("question")).focus({ preventScroll: true });
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  turn.element.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
  return turn;
}

async function begun() {
  const { id } = await post("conversations", {});
  history.pushState(null, "", `#${id}`);
  conversations.select(id);
  return id;
}

async function complete(turn, answer) {
  const declined = answer.status === "abstained";
  turn.complete(answer, declined ? "" : await getText(`messages/${answer.message_id}/html`));
}

/** What the address says: a conversation, or a new one. */
async function open() {
  signin.arrive();
  const id = location.hash.slice(1) || null;
  panel.close();
  conversation = id;
  conversations.select(id);
  $("thread").replaceChildren();
  $("welcome").hidden = id !== null;
  tell("");
  showSidebar(false);
  welcome();
  if (id === null) return blank();
  try {
    const { title, messages } = await get(`conversations/${id}`);
    const turns = await recalled(messages);
    if (conversation !== id) return;
    name(title || "Without a question yet");
    $("thread").replaceChildren(...turns.map((turn) => turn.element));
    $("title").focus({ preventScroll: true });
    scrollTo(0, document.body.scrollHeight);
  } catch (error) {
    if (conversation === id) refused(error);
  }
}

/** Every question with the answer that was given to it; one that failed has none. */
function recalled(messages) {
  const asked = messages.map(({ role, text }, at) => role === "user" && [text, messages[at + 1]?.answer]);
  return Promise.all(asked.filter(Boolean).map(async ([text, answer]) => {
    const turn = new Turn(text, panel);
    if (answer) await complete(turn, answer);
    else turn.fail("No answer to this question was kept.");
    return turn;
  }));
}

function blank() {
  name("New conversation");
  document.title = "Ibid";
  if (!small.matches) $("question").focus();
}

/** Says what can be asked; or, where nothing was ingested, what to run. */
async function welcome() {
  try {
    const { corpora } = await get("corpora");
    const filled = corpora.filter((corpus) => corpus.passages);
    $("scope").hidden = filled.length < 2;
    const chosen = $("corpus").value;
    $("corpus").replaceChildren(make("option", { value: "" }, "all corpora"),
      ...filled.map(({ name }) => make("option", { value: name }, name)));
    $("corpus").value = filled.some(({ name }) => name === chosen) ? chosen : "";
    $("welcome").replaceChildren(...(filled.length ? greeting(filled) : nothing()));
  } catch (error) {
    refused(error);
  }
}

function greeting(corpora) {
  const total = corpora.reduce((sum, corpus) => sum + corpus.sources, 0);
  const pages = `${total.toLocaleString()} ${total === 1 ? "page" : "pages"}`;
  return [make("h2", {}, "What would you like to know?"),
    make("p", {}, `Answers come from ${pages} of documentation. Every claim has a footnote that opens `
      + "the exact words it rests on, and a question the pages do not speak to is declined.")];
}

function nothing() {
  return [make("h2", {}, "Nothing has been ingested yet"),
    make("p", {}, "In a terminal, give Ibid a folder of documents to read:"),
    make("pre", {}, make("code", {}, "ibid ingest path/to/docs")),
    make("p", {}, make("button", { type: "button", onclick: welcome }, "Look again"))];
}

function name(title) {
  $("title").textContent = title;
  document.title = `${title} · Ibid`;
}

function tell(sentence) {
  $("notice").hidden = !sentence;
  $("notice").replaceChildren(...(sentence ? [make("p.error", { role: "alert" }, sentence)] : []));
}

/** Why the server did not answer; whoever is not signed in is told where to. */
function refused(error) {
  if (error.status !== 401) return tell(error.message);
  $("notice").hidden = false;
  $("notice").replaceChildren(signin.wanted());
}

function work(controller) {
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

function fresh(event) {
  event.preventDefault();
  history.pushState(null, "", location.pathname);
  open();
}

function pressed(event) {
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
$("new").addEventListener("click", fresh);
$("home").addEventListener("click", fresh);
$("open-sidebar").addEventListener("click", () => showSidebar(true));
$("close-sidebar").addEventListener("click", () => { showSidebar(false); $("open-sidebar").focus(); });
document.addEventListener("keydown", pressed);
addEventListener("popstate", open);
panel.start();
conversations.start({ removed: (id) => { if (id === conversation) fresh(new Event("removed")); } });
open();
conversations.load().catch(() => {}); // the welcome says what is wrong

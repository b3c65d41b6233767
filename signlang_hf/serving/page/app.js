// The page itself: elements and what they do. What is said stands in texts.js, what happens between Start and Stop in session.js.
//
// Two regions speak to a screen reader, both politely: the words as they come, and the state. What changes many times a second (guesses,
// the skeleton) is for the eye alone.

import { cameras } from "./camera.js";
import { Session } from "./session.js";
import { remember, remembered, rememberedKey, rememberKey } from "./settings.js";
import { clear, drawSkeleton } from "./skeleton.js";
import { Speech } from "./speech.js";
import { isolated, language, percent, preferredLanguage, say, setLanguage } from "./texts.js";
import { Words } from "./words.js";

const CONFIG = new URL("config.json", import.meta.url);
const SOCKET = new URL("../ws", import.meta.url);
SOCKET.protocol = SOCKET.protocol === "https:" ? "wss:" : "ws:";

const $ = (id) => document.getElementById(id);
const KINDS = {
  good: ["watching", "copied", "undone", "cleared"],
  work: ["loading", "askingCamera", "connecting", "loadingPoints", "stopping", "reconnecting", "tooMany", "unavailable", "internal"],
  warn: ["unknown", "short", "nothing", "nothingSeen", "busy", "noPoints", "timeout", "keyNeeded", "notCopied", "speakFailed"],
  bad: ["serverGone", "noCamera", "cameraRefused", "cameraInUse", "cameraEnded", "cameraInsecure", "keyWrong", "refused"],
};
const MODES = { signs: "modeSigns", sentences: "modeSentences" };
const CAPTION_TIME = 2500; // milliseconds that a recognised word stays on the picture
const BUSY_TIME = 4000; // and that "busy" is said for; the server repeats it while it is

let config = { modes: ["signs"], models: [], key_required: false, browser_landmarks: false, max_fps: 20, labels: [], language: null };
let state = { key: "loading", values: {} };
let running = false;
let captionTimer = null;
let busyTimer = null;
let stopping = Promise.resolve();

const page = {
  status(key, values = {}) {
    if (key === state.key && JSON.stringify(values) === JSON.stringify(state.values)) return;
    state = { key, values };
    showStatus();
    clearTimeout(busyTimer);
    if (key === "busy") busyTimer = setTimeout(() => this.status("watching"), BUSY_TIME);
  },
  event,
  // Returns whether there was a point.
  draw(points, layout) {
    const { videoWidth: width, videoHeight: height } = $("video");
    if ($("draw").checked && width) drawSkeleton($("skeleton"), points, layout, width / height);
    else clear($("skeleton"));
    return points.some(Boolean);
  },
  ended(key, values) {
    setRunning(false);
    caption("");
    this.status(key, values);
    if (key === "keyNeeded" || key === "keyWrong") showKey();
  },
};
const session = new Session($("video"), SOCKET, page);
const speech = new Speech(
  (speaking) => showSpeaking(speaking),
  () => page.status("speakFailed"),
);
const words = new Words($("words"), $("empty"), { languageOf: () => ($("mode").value === "signs" ? config.language : null), percent: (score) => say("sure", { percent: percent(score) }), changed: showActions });

// ---- what the server says ----

function event(message) {
  const { type, label, score } = message;
  if (type === "sign_started") {
    if (["unknown", "short", "nothing", "busy", "nothingSeen"].includes(state.key)) page.status("watching");
    caption("···", "signing");
  } else if (type === "partial") {
    caption(`${label} ?`, "guess");
  } else if (type === "sign" || type === "gloss") {
    // In whole sentences a sign is heard as a gloss too, and then as a part of its sentence: it is written once.
    if (type === "sign" && $("mode").value === "sentences") return;
    heard(label, score, type === "gloss" ? "gloss" : "word");
  } else if (type === "sentence") {
    // Without a translator a sentence is its glosses.
    heard(message.text || (message.glosses || []).map((one) => one.gloss).join(" "), undefined, "sentence");
  } else if (type === "idle") {
    if (["unknown", "short", "nothing"].includes(message.reason)) {
      page.status(message.reason);
      caption("");
    }
  }
}

function heard(text, score, kind) {
  if (!text) return;
  caption(text);
  captionTimer = setTimeout(() => caption(""), CAPTION_TIME);
  words.add(text, score, kind);
  if (state.key !== "watching" && running) page.status("watching");
  if ($("speak-each").checked && kind !== "gloss") speech.say(text, spokenLanguage());
}

// Of the words: the server knows that of its signs; sentences may be in another.
function spokenLanguage() {
  return ($("mode").value === "signs" && config.language) || language();
}

function caption(text, kind = "") {
  clearTimeout(captionTimer);
  $("caption").textContent = text;
  $("caption").className = `caption ${kind}`;
}

// ---- what is shown ----

function showStatus() {
  $("status-text").textContent = say(state.key, state.values);
  const kind = Object.keys(KINDS).find((name) => KINDS[name].includes(state.key)) || "rest";
  $("status").dataset.kind = kind;
}

function setRunning(now) {
  running = now;
  $("picture").parentElement.classList.toggle("running", now);
  $("run-icon").setAttribute("href", now ? "#icon-halt" : "#icon-play");
  $("run-text").dataset.text = now ? "stop" : "start";
  $("run-text").textContent = say($("run-text").dataset.text);
}

function showActions() {
  for (const id of ["copy", "undo", "clear"]) disable($(id), !words.length);
  disable($("speak"), !Speech.available || !words.length);
}

function disable(button, off) {
  button.setAttribute("aria-disabled", String(off)); // and not `disabled`, which would throw the keyboard's focus away
}

function showSpeaking(speaking) {
  $("speak-text").dataset.text = speaking ? "stopSpeaking" : "speak";
  $("speak-text").textContent = say($("speak-text").dataset.text);
}

function showKey() {
  $("key-field").hidden = false;
  $("key").focus();
}

function showPrivacy() {
  $("privacy").textContent = say($("in-browser").checked ? "privacyPoints" : "privacyFrames", { host: location.host });
}

function showLanguage(name) {
  setLanguage(name);
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === language()));
  }
  $("known-title").textContent = say("known", { count: config.labels.length });
  fillSelect($("mode"), config.modes.map((mode) => [mode, say(MODES[mode] || "modeSigns")]));
  showModels();
  showCameras();
  showPrivacy();
  showStatus();
  words.rewrite();
}

// Models of the mode that is chosen.
function showModels() {
  const models = config.models_by_mode?.[$("mode").value] || config.models;
  $("model-field").hidden = models.length < 2;
  fillSelect($("model"), [["", say("modelDefault")], ...models.map((model) => [model, model])]);
}

async function showCameras() {
  const found = await cameras();
  const named = found.map(({ id, name }, place) => [id, name || say("cameraNumber", { number: place + 1 })]);
  fillSelect($("camera"), named.length ? named : [["", say("cameraNumber", { number: 1 })]], session.camera.deviceId || remembered("camera"));
}

// Options [[value, text], …] in place of those that are there; what was chosen stays chosen.
function fillSelect(select, options, chosen = select.value || remembered(select.id)) {
  select.replaceChildren(...options.map(([value, text]) => new Option(isolated(text), value)));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}

// ---- what the visitor does ----

async function run() {
  if (running) {
    setRunning(false);
    stopping = session.stop();
    await stopping;
    return;
  }
  if (config.key_required && !$("key").value) {
    page.status("keyNeeded");
    showKey();
    return;
  }
  setRunning(true);
  await stopping; // the last sign of the time before
  const started = await session.start({
    camera: $("camera").value,
    mode: $("mode").value,
    model: $("model").value,
    key: $("key").value,
    skeleton: $("draw").checked,
    inBrowser: $("in-browser").checked,
    fps: config.max_fps,
  });
  if (!started) return;
  $("picture").style.aspectRatio = `${$("video").videoWidth} / ${$("video").videoHeight}`;
  await showCameras(); // their names are known from now on
}

// Another camera, model or mode while it runs: once more from the start.
async function restart() {
  if (!running) return;
  await run();
  await run();
}

async function copy() {
  try {
    await navigator.clipboard.writeText(words.text);
    page.status("copied");
  } catch {
    page.status("notCopied");
  }
}

function onEnabled(id, action) {
  $(id).addEventListener("click", () => $(id).getAttribute("aria-disabled") === "true" || action());
}

function wire() {
  $("run").addEventListener("click", run);
  onEnabled("speak", () => (speech.speaking ? speech.stop() : speech.say(words.text, spokenLanguage())));
  onEnabled("copy", copy);
  onEnabled("undo", () => page.status("undone", { label: words.undo() }));
  onEnabled("clear", () => {
    words.clear();
    page.status("cleared");
  });
  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      remember("language", button.dataset.language);
      showLanguage(button.dataset.language);
    });
  }
  for (const [id, otherwise] of [["mirror", true], ["draw", true], ["speak-each", false], ["in-browser", false]]) {
    $(id).checked = remembered(id, otherwise);
    $(id).addEventListener("change", () => remember(id, $(id).checked));
  }
  for (const id of ["camera", "mode", "model"]) {
    $(id).addEventListener("change", () => {
      remember(id, $(id).value);
      if (id === "mode") showModels();
      restart();
    });
  }
  const mirror = () => $("picture").classList.toggle("mirrored", $("mirror").checked);
  $("mirror").addEventListener("change", mirror);
  mirror();
  $("draw").addEventListener("change", restart);
  $("in-browser").addEventListener("change", () => {
    showPrivacy();
    restart();
  });
  $("key").value = rememberedKey();
  $("key").addEventListener("change", () => rememberKey($("key").value));
  $("key-field").addEventListener("submit", (submit) => {
    submit.preventDefault();
    rememberKey($("key").value);
    if (!running) run();
  });
  $("skip").addEventListener("click", (click) => {
    click.preventDefault();
    $("words").focus();
  });
  if (!Speech.available) {
    $("no-speech").hidden = false;
    $("speak").setAttribute("aria-describedby", "no-speech");
    $("speak-each").disabled = true;
  }
  navigator.mediaDevices?.addEventListener?.("devicechange", showCameras);
  window.addEventListener("resize", () => clear($("skeleton")));
}

async function load() {
  page.status("loading");
  try {
    const answer = await fetch(CONFIG);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    config = { ...config, ...(await answer.json()) };
  } catch {
    page.status("serverGone");
    setTimeout(load, 5000);
    return;
  }
  $("key-field").hidden = !config.key_required;
  $("in-browser-field").hidden = !config.browser_landmarks;
  if (!config.browser_landmarks) $("in-browser").checked = false;
  $("known").hidden = !config.labels.length;
  $("labels").replaceChildren(
    ...config.labels.map((label) => {
      const item = document.createElement("li");
      item.textContent = label;
      item.dir = "auto";
      item.lang = config.language || "";
      return item;
    }),
  );
  $("known").open = window.matchMedia("(min-width: 56rem)").matches;
  showLanguage(language());
  page.status("idle");
}

setLanguage(preferredLanguage(remembered("language")));
wire();
showActions();
showLanguage(language());
load();

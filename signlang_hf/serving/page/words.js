// The sentence so far: the words that were recognised, and how they are shown.
//
// * Single signs are words. In whole sentences, glosses are shown until their sentence comes and takes their place.
// * A new word is added to a polite live region, so a screen reader says it without interrupting; what is removed is said by the status.
// * Every text of the server is set as text, never as markup.

export class Words {
  // list: the live region's <ol>; empty: what is shown while there are none; languageOf(): tag of the labels, or null.
  constructor(list, empty, { languageOf, percent, changed }) {
    this.list = list;
    this.empty = empty;
    this.languageOf = languageOf;
    this.percent = percent;
    this.changed = changed;
    this.entries = []; // {text, score, kind: "word" | "gloss" | "sentence"}
  }

  add(text, score, kind = "word") {
    if (kind === "sentence") this.drop((entry) => entry.kind === "gloss");
    const item = document.createElement("li");
    item.className = kind;
    const label = span("text", text);
    label.lang = this.languageOf() || "";
    item.append(label);
    if (typeof score === "number") item.append(span("score", this.percent(score)));
    this.entries.push({ text, score, kind, item });
    this.list.append(item);
    this.show();
    item.scrollIntoView({ block: "nearest" });
  }

  undo() {
    const last = this.entries.pop();
    last?.item.remove();
    this.show();
    return last?.text || "";
  }

  clear() {
    this.drop(() => true);
    this.show();
  }

  get text() {
    return this.entries.map((entry) => entry.text).join(" ");
  }

  get length() {
    return this.entries.length;
  }

  // Percentages are written as the page's language writes them.
  rewrite() {
    for (const { item, score } of this.entries) {
      const share = item.querySelector(".score");
      if (share) share.textContent = this.percent(score);
    }
  }

  drop(which) {
    for (const entry of this.entries.filter(which)) entry.item.remove();
    this.entries = this.entries.filter((entry) => !which(entry));
  }

  show() {
    this.empty.hidden = this.entries.length > 0;
    this.changed();
  }
}

function span(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

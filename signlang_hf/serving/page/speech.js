// Reading aloud with the voices of the browser.

export class Speech {
  // changed(speaking) when it starts and ends; failed() when the browser has no way to say it.
  constructor(changed, failed) {
    this.changed = changed;
    this.failed = failed;
    this.waiting = 0;
  }

  static get available() {
    return "speechSynthesis" in window && "SpeechSynthesisUtterance" in window;
  }

  get speaking() {
    return this.waiting > 0;
  }

  // language: of the text, as a BCP 47 tag; the browser takes a voice of it where it has one.
  say(text, language) {
    if (!Speech.available || !text) return;
    const utterance = new SpeechSynthesisUtterance(text);
    utterance.lang = language;
    const voices = window.speechSynthesis.getVoices();
    const wanted = language.toLowerCase().split("-")[0];
    const voice = voices.find((one) => one.lang.toLowerCase().split(/[-_]/)[0] === wanted);
    if (voice) utterance.voice = voice;
    let over = false;
    const finish = () => {
      if (over) return;
      over = true;
      this.waiting -= 1;
      this.changed(this.speaking);
    };
    utterance.onend = finish;
    utterance.onerror = (event) => {
      finish();
      if (!["canceled", "interrupted"].includes(event.error)) this.failed();
    };
    this.waiting += 1;
    window.speechSynthesis.speak(utterance);
    this.changed(true);
  }

  stop() {
    if (Speech.available) window.speechSynthesis.cancel();
    this.waiting = 0;
    this.changed(false);
  }
}

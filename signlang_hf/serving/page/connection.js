// The WebSocket to the server, kept up while the page runs.
//
// * One that is lost comes back by itself: after half a second, then twice as long each time, and at most 15 s; at once when the browser
//   says that it is online again. What has been recognised lives in the page, so nothing is lost with it.
// * The server's last error before it closes says why it did. Errors that the same start would meet again (a key, what was sent, a time
//   limit) end the session; the others are tried again.

const FIRST_WAIT = 0.5;
const LONGEST_WAIT = 15;
const ANSWER_TIME = 10; // seconds for the server to say that it is ready, and to say the last events after a stop
const FULL = 128 * 1024; // bytes waiting in the socket; with more, frames are left out instead of coming late

// Code of the server's error → sentence, and whether to try again.
const ERRORS = {
  unauthorized: { key: "keyWrong", again: false },
  bad_message: { key: "refused", again: false },
  too_large: { key: "refused", again: false },
  timeout: { key: "timeout", again: false },
  too_many: { key: "tooMany", again: true },
  unavailable: { key: "unavailable", again: true },
  internal: { key: "internal", again: true },
};

export class Connection {
  // handlers: message(object), ready(object), waiting(key, seconds) before it tries again, failed(key, values) when it is over.
  constructor(url, handlers) {
    this.url = url;
    this.handlers = handlers;
    this.socket = null;
    this.wanted = false;
    this.online = () => this.pause && this.connect();
  }

  open(start) {
    this.start = start;
    this.wanted = true;
    this.attempt = 0;
    window.addEventListener("online", this.online);
    this.connect();
  }

  connect() {
    this.rest();
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.error = null;
    this.isReady = false;
    this.limit = setTimeout(() => this.isReady || socket.close(), ANSWER_TIME * 1000);
    socket.onopen = () => socket.send(JSON.stringify(this.start));
    socket.onmessage = (event) => this.socket === socket && this.receive(event.data);
    socket.onclose = () => this.socket === socket && this.closed();
  }

  receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return; // not of this server; its close will say more
    }
    if (message.type === "ready") {
      this.isReady = true;
      this.attempt = 0;
      this.handlers.ready(message);
    } else if (message.type === "error") {
      this.error = message;
    }
    this.handlers.message(message);
    if (message.type === "stopped") this.finished?.();
  }

  // Whether a frame may be sent now.
  get free() {
    return this.isReady && this.socket?.readyState === WebSocket.OPEN && this.socket.bufferedAmount < FULL;
  }

  send(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(message instanceof Uint8Array ? message : JSON.stringify(message));
  }

  // What is being signed is over: resolves when the server has said its last events, or does not answer.
  async finish() {
    this.wanted = false; // a server that goes away meanwhile is not looked for
    if (this.isReady && this.socket?.readyState === WebSocket.OPEN) {
      this.send({ type: "stop" });
      await new Promise((done) => {
        this.finished = done;
        setTimeout(done, ANSWER_TIME * 1000);
      });
      this.finished = null;
    }
    this.close();
  }

  close() {
    this.wanted = false;
    this.isReady = false;
    window.removeEventListener("online", this.online);
    this.rest();
    const socket = this.socket;
    this.socket = null;
    this.finished?.();
    socket?.close();
  }

  closed() {
    clearTimeout(this.limit);
    this.isReady = false;
    this.finished?.();
    if (!this.wanted) return;
    const known = ERRORS[this.error?.code];
    if (known && !known.again) {
      const key = known.key === "keyWrong" && !this.start.api_key ? "keyNeeded" : known.key;
      const detail = this.error.detail || "";
      this.close();
      this.handlers.failed(key, { detail });
      return;
    }
    const wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.attempt);
    this.attempt += 1;
    this.handlers.waiting(known?.key || "reconnecting", Math.ceil(wait)); // once an attempt: a countdown would be read out each second
    this.pause = setTimeout(() => this.connect(), wait * 1000);
  }

  rest() {
    clearTimeout(this.pause);
    clearTimeout(this.limit);
    this.pause = null;
  }
}

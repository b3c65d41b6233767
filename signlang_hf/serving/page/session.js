// From Start to Stop: camera, connection, and what goes to and fro between them.
//
// * Frames are left out, never queued: none goes while the socket is full, while the last is being encoded, or while two are unanswered.
//   Where the server draws nothing back there is no answer to wait for, and only the socket counts.
// * A server that swallows a frame without a word (its busy message may be late) must not silence the page, so what is unanswered for
//   two seconds is forgotten.

import { Camera } from "./camera.js";
import { Connection } from "./connection.js";
import { Encoder, watchFrames } from "./frames.js";
import { PointFinder } from "./points.js";

const UNANSWERED = 2;
const FORGET = 2; // seconds
const NOBODY = 4; // seconds without a point until it is said

export class Session {
  // page: what shows it, with status(key, values), event(message), draw(points, layout), ended(key, values).
  constructor(video, url, page) {
    this.page = page;
    this.video = video;
    this.camera = new Camera(video, () => this.end("cameraEnded"));
    this.encoder = new Encoder();
    this.connection = new Connection(url, {
      ready: () => this.ready(),
      message: (message) => this.receive(message),
      waiting: (key, seconds) => this.lost(key, seconds),
      failed: (key, values) => this.end(key, values),
    });
    this.running = false;
  }

  // choices: {camera, mode, model, key, skeleton, inBrowser, fps}. Resolves when the camera is on; the page hears the rest.
  async start(choices) {
    this.choices = choices;
    this.running = true;
    this.page.status("askingCamera");
    try {
      await this.camera.open(choices.camera);
    } catch (error) {
      if (this.running) this.end(error.key || "cameraInUse");
      return false;
    }
    if (this.running && choices.inBrowser && !(await this.loadPoints())) this.choices = { ...choices, inBrowser: false };
    if (!this.running) {
      this.camera.close(); // stopped while the browser asked or loaded
      return false;
    }
    this.page.status("connecting");
    this.connection.open(this.hello());
    return true;
  }

  async loadPoints() {
    if (this.finder) return true;
    this.page.status("loadingPoints");
    try {
      this.finder = await PointFinder.load();
    } catch (error) {
      console.info("MediaPipe does not run here:", error);
      this.page.status("noPoints");
    }
    return Boolean(this.finder);
  }

  hello() {
    const { mode, model, key, inBrowser, skeleton } = this.choices;
    const start = { type: "start", mode, model: model || null, api_key: key || null, timestamps: true, mirrored: false };
    if (!inBrowser) return { ...start, source: "frames", return_landmarks: skeleton };
    const size = [this.video.videoWidth, this.video.videoHeight];
    return { ...start, source: "landmarks", layout: "mediapipe-holistic", size, return_landmarks: false };
  }

  ready() {
    this.sent = [];
    this.seenAt = performance.now() / 1000;
    this.nobody = false;
    this.page.status("watching");
    this.unwatch?.();
    this.unwatch = watchFrames(this.video, this.choices.fps, (seconds) => this.look(seconds));
  }

  async look(seconds) {
    this.sent = this.sent.filter((moment) => seconds - moment < FORGET);
    if (!this.connection.free || this.encoding) return;
    if (this.choices.inBrowser) {
      this.found(seconds, this.finder.find(this.video, seconds));
      return;
    }
    if (this.choices.skeleton && this.sent.length >= UNANSWERED) return;
    this.encoding = true;
    try {
      const message = await this.encoder.encode(this.video, seconds);
      if (!message || !this.running || !this.connection.free) return; // after a stop no frame may follow
      this.connection.send(message);
      this.sent.push(seconds);
    } finally {
      this.encoding = false;
    }
  }

  // Points of this browser: to the server, and onto the picture.
  found(seconds, { layout, points, visibility }) {
    this.connection.send({ type: "landmarks", time: seconds, points, visibility });
    this.show(points, layout);
  }

  show(points, layout) {
    const seen = this.page.draw(points, layout);
    const now = performance.now() / 1000;
    if (seen) {
      this.seenAt = now;
      if (this.nobody) this.page.status("watching");
    } else if (now - this.seenAt > NOBODY) this.page.status("nothingSeen");
    this.nobody = now - this.seenAt > NOBODY;
  }

  receive(message) {
    if (message.type === "landmarks") {
      this.sent.shift();
      if (this.running) this.show(message.points, message.layout);
    } else if (message.type === "busy") {
      this.sent = []; // which of them were dropped is not known
      this.page.status("busy");
    } else if (!["ready", "stopped", "error"].includes(message.type)) {
      this.page.event(message);
    } else if (message.type === "error" && message.code === "bad_message") {
      console.info("The server:", message.detail); // one that closes the connection is said by it
    }
  }

  lost(key, seconds) {
    this.unwatch?.();
    this.page.draw([], "");
    this.page.status(key, { seconds });
  }

  // The visitor stops: the server says what it still has to say.
  async stop() {
    if (!this.running) return;
    this.running = false;
    this.unwatch?.();
    this.camera.close();
    this.page.draw([], "");
    if (this.connection.isReady) this.page.status("stopping");
    await this.connection.finish();
    this.page.ended("stopped");
  }

  // It ends by itself, for a reason.
  end(key, values) {
    this.running = false;
    this.unwatch?.();
    this.connection.close();
    this.camera.close();
    this.page.ended(key, values);
  }
}

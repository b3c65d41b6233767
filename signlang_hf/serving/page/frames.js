// Frames of the video, as they come, at no more than a rate; and their JPEGs.

// Calls look(seconds) for each new frame of the video, at most fps times a second, until the function that it returns is called.
// Browsers without requestVideoFrameCallback are asked at each repaint.
export function watchFrames(video, fps, look) {
  let stopped = false;
  let next = 0;
  const step = 1000 / fps;
  const again = () => {
    if (stopped) return;
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(seen);
    else requestAnimationFrame(seen);
  };
  const seen = (now) => {
    if (stopped) return;
    // A quarter of a step early is in time: a camera of 30 fps trembles around its 33 ms, and would otherwise be halved.
    if (video.videoWidth && now >= next - step / 4) {
      next = Math.max(next + step, now);
      look(now / 1000);
    }
    again();
  };
  again();
  return () => {
    stopped = true;
  };
}

const QUALITY = 0.8;
const LONGEST = 640; // pixels of the longer side of what is sent

export class Encoder {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d", { alpha: false, desynchronized: true });
  }

  // The video's present frame as it comes from the camera (never mirrored): 8 bytes of float64 seconds, little-endian, and the JPEG.
  async encode(video, seconds) {
    const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
    const [width, height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.context.drawImage(video, 0, 0, width, height);
    const picture = await new Promise((done) => this.canvas.toBlob(done, "image/jpeg", QUALITY));
    if (!picture) return null;
    const message = new Uint8Array(8 + picture.size);
    new DataView(message.buffer).setFloat64(0, seconds, true);
    message.set(new Uint8Array(await picture.arrayBuffer()), 8);
    return message;
  }
}

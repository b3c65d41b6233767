// The webcam: opening it, which ones there are, and what to tell when it does not open.

// Small enough to send many times a second; MediaPipe scales down further itself.
const WISHES = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30, max: 60 } };

// Names of getUserMedia's errors → key of the sentence that explains them.
const REASONS = {
  NotFoundError: "noCamera",
  OverconstrainedError: "noCamera",
  NotAllowedError: "cameraRefused",
  SecurityError: "cameraRefused",
  NotReadableError: "cameraInUse",
  AbortError: "cameraInUse",
};

export class CameraError extends Error {
  constructor(key, cause) {
    super(key, { cause });
    this.key = key;
  }
}

export class Camera {
  // ended() is called when the camera goes away by itself.
  constructor(video, ended) {
    this.video = video;
    this.ended = ended;
    this.stream = null;
  }

  // Opens the camera of that id, or any when it is gone or none was chosen. Throws a CameraError with the key of a sentence.
  async open(id) {
    this.close();
    if (!navigator.mediaDevices?.getUserMedia) throw new CameraError("cameraInsecure");
    const wanted = id ? { ...WISHES, deviceId: { exact: id } } : { ...WISHES, facingMode: "user" };
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    } catch (error) {
      if (id && error.name === "OverconstrainedError") return this.open("");
      throw new CameraError(REASONS[error.name] || "cameraInUse", error);
    }
    this.stream = stream;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => this.stream === stream && this.ended());
    this.video.srcObject = stream;
    await this.video.play();
  }

  get deviceId() {
    return this.stream?.getVideoTracks()[0]?.getSettings().deviceId || "";
  }

  close() {
    const stream = this.stream;
    this.stream = null;
    for (const track of stream?.getTracks() || []) track.stop();
    this.video.srcObject = null;
  }
}

// Cameras as [{id, name}]. Names, and on some browsers ids, are known only after the visitor has allowed one.
export async function cameras() {
  if (!navigator.mediaDevices?.enumerateDevices) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter((device) => device.kind === "videoinput" && device.deviceId)
    .map((device) => ({ id: device.deviceId, name: device.label }));
}

// Joints found in the browser: MediaPipe's pose and hand landmarkers, served from mediapipe/ beside this file, put into the order of
// layout mediapipe-holistic: 33 body points, 21 of the left hand, 21 of the right. Left and right are the signer's own.
//
// * The settings and the way hands are given to sides are those of signlang_hf/pose/tasks.py, so a clip reads the same in either place.
// * Nothing is fetched from elsewhere; serving/browser_landmarks.py lays the folder out.

const FOLDER = new URL("mediapipe/", import.meta.url).href;
const LAYOUT = "mediapipe-holistic";
const [LEFT_WRIST, RIGHT_WRIST] = [15, 16];
const LIMBS = [[11, 12], [11, 13], [12, 14], [13, 15], [14, 16]];
const OTHER_SIDE = 0.25; // what a hand costs more whose own label says the other side
const LEFT_OUT = 0.8; // and what it costs to leave one out; both in arm lengths

export class PointFinder {
  static async load() {
    const { FilesetResolver, HandLandmarker, PoseLandmarker } = await import(`${FOLDER}vision_bundle.mjs`);
    const files = await FilesetResolver.forVisionTasks(`${FOLDER}wasm`);
    const options = (name) => ({ baseOptions: { modelAssetPath: `${FOLDER}${name}`, delegate: "CPU" }, runningMode: "VIDEO" });
    const finder = new PointFinder();
    finder.pose = await PoseLandmarker.createFromOptions(files, options("pose_landmarker.task"));
    finder.hands = await HandLandmarker.createFromOptions(files, {
      ...options("hand_landmarker.task"),
      numHands: 2,
      minHandDetectionConfidence: 0.1,
      minHandPresenceConfidence: 0.3,
      minTrackingConfidence: 0.3,
    });
    return finder;
  }

  // Points of the video's present frame: {layout, points: [[x, y, z] | null, …], visibility}.
  find(video, seconds) {
    const time = Math.max((this.last || 0) + 1, Math.round(seconds * 1000)); // whole milliseconds that increase
    this.last = time;
    const body = this.pose.detectForVideo(video, time).landmarks[0] || null;
    const hands = this.hands.detectForVideo(video, time);
    const points = new Array(75).fill(null);
    const visibility = new Array(75).fill(0);
    for (const [index, point] of (body || []).entries()) {
      points[index] = plain(point);
      visibility[index] = point.visibility ?? 1;
    }
    const sides = assignSides(hands.landmarks, hands.handedness, body, [video.videoWidth, video.videoHeight]);
    for (const [side, offset] of [["left", 33], ["right", 54]]) {
      for (const [joint, point] of (hands.landmarks[sides[side]] || []).entries()) {
        points[offset + joint] = plain(point);
        visibility[offset + joint] = 1;
      }
    }
    return { layout: LAYOUT, points, visibility };
  }

  close() {
    this.pose?.close();
    this.hands?.close();
  }
}

// Which hand is the signer's left and which the right: {left?: index, right?: index}. As assign_sides in signlang_hf/pose/tasks.py: the
// body's wrists decide, by the smallest sum of distances; without a body the hands' own labels, the surer one first.
export function assignSides(hands, handedness, body, [width, height]) {
  const labels = handedness.map(([best]) => best.categoryName.toLowerCase());
  const wrists = body && [body[LEFT_WRIST], body[RIGHT_WRIST]];
  const chosen = {};
  if (!wrists) {
    const order = hands.map((_, index) => index).sort((one, other) => handedness[other][0].score - handedness[one][0].score);
    for (const index of order) {
      const side = [labels[index], "left", "right"].find((one) => !(one in chosen));
      if (side) chosen[side] = index;
    }
    return chosen;
  }
  const between = (one, other) => Math.hypot((one.x - other.x) * width, (one.y - other.y) * height);
  const arm = Math.max(...LIMBS.map(([one, other]) => between(body[one], body[other]))) || 1;
  const cost = (hand, side) =>
    between(hands[hand][0], wrists[side]) / arm + (labels[hand] === ["left", "right"][side] ? 0 : OTHER_SIDE);
  const choices = [...hands.keys(), null];
  let best = LEFT_OUT * hands.length;
  for (const left of choices) {
    for (const right of choices) {
      if (left === right) continue;
      const given = [[left, 0], [right, 1]].filter(([hand]) => hand !== null);
      const total = given.reduce((sum, [hand, side]) => sum + cost(hand, side), LEFT_OUT * (hands.length - given.length));
      if (total < best) {
        best = total;
        for (const side of ["left", "right"]) delete chosen[side];
        for (const [hand, side] of given) chosen[["left", "right"][side]] = hand;
      }
    }
  }
  return chosen;
}

function plain({ x, y, z }) {
  return [x, y, z].map((value) => Math.round(value * 1e5) / 1e5);
}

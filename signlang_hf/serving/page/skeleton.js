// The skeleton over the camera picture.
//
// * Orange and sky blue (Okabe and Ito) are told apart with every common kind of colour blindness, and the hands differ in shape too: discs
//   on the left, rings on the right. A dark edge keeps all of it visible over any picture.
// * The canvas lies over the video and is mirrored with it by the style sheet, so points are drawn as they come.

const COLOURS = { body: "#f4f7fa", left: "#e69f00", right: "#56b4e9" };
const EDGE = "rgba(8, 14, 22, 0.75)";

// Where a layout has its body, left and right hand; bodies as MediaPipe orders them.
const PLACES = {
  "mediapipe-holistic": { body: 0, left: 33, right: 54 },
  "mediapipe-holistic-face468": { body: 0, left: 33, right: 54 },
  "mediapipe-holistic-face478": { body: 0, left: 33, right: 54 },
  "hands-42": { left: 0, right: 21 },
  "signlang-64": { left: 17, right: 38 },
  "coco-wholebody-133": { left: 91, right: 112 },
  "face-hands-43": { left: 1, right: 22 },
};
const BODY_BONES = [[11, 12], [11, 13], [13, 15], [12, 14], [14, 16], [11, 23], [12, 24], [23, 24]];
const HAND_BONES = [
  ...[0, 1, 2, 3, 4].flatMap((finger) => [0, 1, 2, 3].map((joint) => [joint ? finger * 4 + joint : 0, finger * 4 + joint + 1])),
  [5, 9], [9, 13], [13, 17],
];

// Draws points [[x, y] | null, …] in shares of a picture of that width : height.
export function drawSkeleton(canvas, points, layout, aspect) {
  const context = clear(canvas, aspect);
  const { width, height } = canvas;
  const at = (index) => (points[index] ? [points[index][0] * width, points[index][1] * height] : null);
  const unit = Math.max(width, height) / 640;
  const place = PLACES[layout];
  if (!place) {
    for (let index = 0; index < points.length; index += 1) dot(context, at(index), 2.2 * unit, COLOURS.body, true);
    return;
  }
  if (place.body !== undefined) {
    bones(context, BODY_BONES, at, place.body, COLOURS.body, 3 * unit);
    for (const joint of [11, 12, 13, 14, 15, 16]) dot(context, at(place.body + joint), 3.4 * unit, COLOURS.body, true);
  }
  for (const side of ["left", "right"]) {
    bones(context, HAND_BONES, at, place[side], COLOURS[side], 2.4 * unit);
    for (let joint = 0; joint < 21; joint += 1) dot(context, at(place[side] + joint), 2.8 * unit, COLOURS[side], side === "left");
  }
}

// The canvas gets the picture's shape, and the style sheet fits both into the same box (object-fit), so they lie on each other.
export function clear(canvas, aspect = canvas.width / canvas.height) {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const width = Math.max(1, Math.round(Math.min(canvas.clientWidth, canvas.clientHeight * aspect) * ratio));
  const height = Math.max(1, Math.round(width / aspect));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  return context;
}

function bones(context, pairs, at, offset, colour, thickness) {
  context.lineCap = "round";
  for (const [style, extra] of [[EDGE, 1.6], [colour, 0]]) {
    context.beginPath();
    for (const [one, other] of pairs) {
      const [from, to] = [at(offset + one), at(offset + other)];
      if (!from || !to) continue;
      context.moveTo(...from);
      context.lineTo(...to);
    }
    context.strokeStyle = style;
    context.lineWidth = thickness * (1 + extra / 2);
    context.stroke();
  }
}

function dot(context, point, radius, colour, filled) {
  if (!point) return;
  context.beginPath();
  context.arc(point[0], point[1], radius, 0, 2 * Math.PI);
  context.fillStyle = filled ? colour : EDGE;
  context.fill();
  context.lineWidth = radius / 2;
  context.strokeStyle = filled ? EDGE : colour;
  context.stroke();
}

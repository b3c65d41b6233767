// What the page says, in English and Arabic, and the switch between them.
//
// * An element names its text (data-text), its accessible name (data-label) or its placeholder (data-placeholder) by a key of the table
//   below; changing the language fills all of them again. What is said in between is made with say(key, values).
// * A sentence is written out in both languages; none is glued together from words. Numbers go through Intl.NumberFormat.
// * Labels of signs are the model's own. They are never translated: dir="auto" gives them their own direction, and a
//   sentence that of its first word.

const TEXTS = {
  en: {
    title: "Live signs",
    subtitle: "Sign in front of your camera and read along.",
    skip: "Skip to the words",
    language: "Language",
    start: "Start",
    stop: "Stop",
    stage: "Camera",
    stageHint: "Your camera picture appears here.",
    privacyFrames: "While it runs, pictures go to {host}, which reads the signs.",
    privacyPoints: "The picture stays on this device. Only the positions of your joints go to {host}.",
    sentence: "Sentence so far",
    sentenceEmpty: "Words that are recognised are collected here.",
    wordsHeard: "Words, newest last",
    speak: "Speak",
    stopSpeaking: "Stop speaking",
    noSpeech: "This browser cannot speak, so the button is off.",
    copy: "Copy",
    undo: "Undo last word",
    undoShort: "Undo",
    clear: "Clear",
    settings: "Settings",
    camera: "Camera",
    cameraNumber: "Camera {number}",
    model: "Model",
    modelDefault: "Default model",
    mode: "Mode",
    modeSigns: "Single signs",
    modeSentences: "Whole sentences",
    mirror: "Mirror my picture",
    skeleton: "Draw the skeleton",
    speakEach: "Speak each word at once",
    inBrowser: "Find my joints in this browser",
    key: "API key",
    keyHint: "This server asks for a key. It is kept until you close this tab.",
    known: "Signs that this model knows ({count})",
    legend: "Colours of the skeleton",
    leftHand: "Left hand",
    rightHand: "Right hand",
    body: "Body",
    sure: "{percent} sure",
    idle: "Ready. Press Start when you are.",
    loading: "Loading the settings of the server …",
    askingCamera: "Please allow the camera in the question that your browser asks.",
    connecting: "Connecting to the server …",
    loadingPoints: "Loading what finds your joints …",
    watching: "Watching. Sign whenever you like.",
    unknown: "That was a sign which this model does not know.",
    short: "That was too short to be a sign.",
    nothing: "Nothing was recognised in that.",
    nothingSeen: "Nobody is seen. Move into the picture, with your hands in view, and see to good light.",
    stopping: "Finishing the last sign …",
    stopped: "Stopped. The camera is off.",
    busy: "The server is busy and skips some pictures. Signs may come late.",
    reconnecting: "The connection to the server is lost. Trying again in {seconds} s; your words are kept.",
    serverGone: "The server does not answer. Your words are kept; try again in a moment.",
    noCamera: "No camera was found. Plug one in, then try again.",
    cameraRefused: "The camera is not allowed. Allow it for this page in your browser's address bar, then try again.",
    cameraInUse: "The camera cannot be opened; another program may be using it. Close that, then try again.",
    cameraEnded: "The camera was unplugged or switched off. Plug it in, then try again.",
    cameraInsecure: "Browsers open the camera only on https:// or on localhost. Open this page there.",
    keyNeeded: "This server needs an API key. Enter it under Settings, then press Start.",
    keyWrong: "The server does not accept this key. Check it under Settings, then press Start.",
    tooMany: "The server has as many visitors as it can serve. Trying again in {seconds} s.",
    unavailable: "The server cannot take you right now. Trying again in {seconds} s.",
    timeout: "The server has ended this session, which reached its time limit. Press Start to go on.",
    refused: "The server could not use what this page sent: {detail}",
    internal: "Something went wrong in the server. Trying again in {seconds} s.",
    noPoints: "This browser cannot find joints itself, so pictures are sent instead.",
    copied: "The sentence is copied.",
    notCopied: "The browser does not allow copying. Select the sentence and copy it by hand.",
    undone: "Removed: {label}.",
    cleared: "The sentence is empty again.",
    speakFailed: "The browser could not speak this. It may have no voice for the language.",
    footer: "Recognition makes mistakes and is no interpreter. Do not rely on it where much is at stake.",
  },
  ar: {
    title: "إشارات مباشرة",
    subtitle: "أشِر أمام الكاميرا واقرأ ما تقوله.",
    skip: "انتقل إلى الكلمات",
    language: "اللغة",
    start: "ابدأ",
    stop: "أوقف",
    stage: "الكاميرا",
    stageHint: "تظهر صورة الكاميرا هنا.",
    privacyFrames: "أثناء التشغيل تُرسَل الصور إلى {host} ليقرأ الإشارات.",
    privacyPoints: "تبقى الصورة على هذا الجهاز، ولا تُرسَل إلى {host} سوى مواضع المفاصل.",
    sentence: "الجملة حتى الآن",
    sentenceEmpty: "تُجمَع هنا الكلمات التي يتم التعرّف عليها.",
    wordsHeard: "الكلمات، والأحدث في الآخر",
    speak: "انطق",
    stopSpeaking: "أوقف النطق",
    noSpeech: "لا يستطيع هذا المتصفح النطق، لذلك عُطِّل الزر.",
    copy: "انسخ",
    undo: "تراجع عن آخر كلمة",
    undoShort: "تراجع",
    clear: "امسح",
    settings: "الإعدادات",
    camera: "الكاميرا",
    cameraNumber: "الكاميرا {number}",
    model: "النموذج",
    modelDefault: "النموذج الافتراضي",
    mode: "الوضع",
    modeSigns: "إشارات مفردة",
    modeSentences: "جمل كاملة",
    mirror: "اعكس صورتي كالمرآة",
    skeleton: "ارسم الهيكل",
    speakEach: "انطق كل كلمة فورًا",
    inBrowser: "حدِّد مفاصلي داخل هذا المتصفح",
    key: "مفتاح الوصول",
    keyHint: "يطلب هذا الخادم مفتاحًا. يُحفَظ حتى تُغلق هذه الصفحة.",
    known: "الإشارات التي يعرفها هذا النموذج ({count})",
    legend: "ألوان الهيكل",
    leftHand: "اليد اليسرى",
    rightHand: "اليد اليمنى",
    body: "الجسم",
    sure: "الثقة {percent}",
    idle: "كل شيء جاهز. اضغط «ابدأ» متى شئت.",
    loading: "يجري تحميل إعدادات الخادم…",
    askingCamera: "اسمح باستخدام الكاميرا في السؤال الذي يعرضه المتصفح.",
    connecting: "يجري الاتصال بالخادم…",
    loadingPoints: "يجري تحميل ما يحدّد المفاصل…",
    watching: "الكاميرا تعمل. أشِر متى شئت.",
    unknown: "هذه إشارة لا يعرفها هذا النموذج.",
    short: "كانت الحركة أقصر من أن تكون إشارة.",
    nothing: "لم يتم التعرّف على شيء في ذلك.",
    nothingSeen: "لا يظهر أحد. قف داخل الصورة ويداك ظاهرتان، وفي إضاءة جيدة.",
    stopping: "يجري إنهاء الإشارة الأخيرة…",
    stopped: "توقّف العمل. الكاميرا مطفأة.",
    busy: "الخادم مشغول ويتجاوز بعض الصور، وقد تتأخر الإشارات.",
    reconnecting: "انقطع الاتصال بالخادم. محاولة جديدة بعد {seconds} ث؛ كلماتك محفوظة.",
    serverGone: "الخادم لا يجيب. كلماتك محفوظة؛ حاول مجددًا بعد قليل.",
    noCamera: "لم يُعثَر على كاميرا. وصِّل واحدة ثم حاول مجددًا.",
    cameraRefused: "استخدام الكاميرا غير مسموح. اسمح به لهذه الصفحة من شريط العنوان ثم حاول مجددًا.",
    cameraInUse: "تعذّر فتح الكاميرا؛ ربما يستخدمها برنامج آخر. أغلقه ثم حاول مجددًا.",
    cameraEnded: "فُصلت الكاميرا أو أُطفئت. أعد توصيلها ثم حاول مجددًا.",
    cameraInsecure: "لا تفتح المتصفحات الكاميرا إلا عبر https:// أو على localhost. افتح الصفحة هناك.",
    keyNeeded: "يحتاج هذا الخادم إلى مفتاح وصول. أدخله في الإعدادات ثم اضغط «ابدأ».",
    keyWrong: "لم يقبل الخادم هذا المفتاح. تحقّق منه في الإعدادات ثم اضغط «ابدأ».",
    tooMany: "بلغ عدد الزوار أقصى ما يخدمه الخادم. محاولة جديدة بعد {seconds} ث.",
    unavailable: "لا يستطيع الخادم استقبالك الآن. محاولة جديدة بعد {seconds} ث.",
    timeout: "أنهى الخادم هذه الجلسة لأنها بلغت حدّها الزمني. اضغط «ابدأ» للمتابعة.",
    refused: "لم يستطع الخادم استخدام ما أرسلته هذه الصفحة: {detail}",
    internal: "حدث خطأ في الخادم. محاولة جديدة بعد {seconds} ث.",
    noPoints: "لا يستطيع هذا المتصفح تحديد المفاصل بنفسه، لذلك تُرسَل الصور.",
    copied: "نُسخت الجملة.",
    notCopied: "لا يسمح المتصفح بالنسخ. حدِّد الجملة وانسخها بنفسك.",
    undone: "حُذفت: {label}.",
    cleared: "الجملة فارغة من جديد.",
    speakFailed: "لم يستطع المتصفح النطق. ربما لا يوجد صوت لهذه اللغة.",
    footer: "التعرّف الآلي يخطئ ولا يغني عن مترجم. لا تعتمد عليه في الأمور المهمة.",
  },
};

const RIGHT_TO_LEFT = new Set(["ar"]);
export const LANGUAGES = Object.keys(TEXTS);

let current = "en";

// The language of the page: what was chosen before, else the first of the browser's that there is.
export function preferredLanguage(remembered) {
  const wanted = [remembered, ...(navigator.languages || [navigator.language])];
  for (const tag of wanted) {
    const language = String(tag || "").toLowerCase().split("-")[0];
    if (LANGUAGES.includes(language)) return language;
  }
  return "en";
}

export function language() {
  return current;
}

export function setLanguage(name) {
  current = LANGUAGES.includes(name) ? name : "en";
  document.documentElement.lang = current;
  document.documentElement.dir = RIGHT_TO_LEFT.has(current) ? "rtl" : "ltr";
  document.title = say("title");
  fill(document);
}

// Text of a key. Numbers among the values are written as the language writes them.
export function say(key, values = {}) {
  const text = TEXTS[current][key];
  if (text === undefined) throw new Error(`There is no text for ${key}.`);
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? new Intl.NumberFormat(current).format(value) : isolated(String(value ?? ""));
  });
}

export function percent(share) {
  return new Intl.NumberFormat(current, { style: "percent", maximumFractionDigits: 0 }).format(Math.floor(share * 100) / 100); // 99.6 % sure is not 100 %
}

// Fill in what names its text by a key, below a node.
export function fill(root) {
  for (const element of root.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text, element.dataset);
  for (const element of root.querySelectorAll("[data-label]")) element.setAttribute("aria-label", say(element.dataset.label));
}

// A label of another script keeps its direction inside a sentence: Unicode's first strong isolate.
export function isolated(value) {
  return value ? `\u2068${value}\u2069` : value;
}

// What a model says of a request, without Python: no dependencies, no network, one file. Node 18+, browsers, extensions.
//
//   import { score } from "./model.mjs";
//   score({ url: "https://ads.example/x.js?cb=1", page: "https://news.example/", type: "script" })
//   -> { p_ad: 0.91, p_tracker: 0.06, p_block: 0.97, block: true }
//
// `about` says what the model is: its declaration, where it comes from, its calibration. An advisor: `block` is whether
// p_block reaches the threshold that was calibrated, and what to do about it is yours. docs/export.md has the rest.
// Every step is that of gossip/filterlists/features.py, marks.py, split.py, gossip/training/scoring.py and
// calibration.py; tests/vectors/js-scorer.json holds both to the same figures.

const FIELDS = [["h", 64], ["p", 128], ["q", 64]]; // letter, and the bytes of it that are looked at
const GRAMS = [3, 4, 5];
const TYPES = ["other", "script", "image", "stylesheet", "subdocument", "xmlhttprequest", "font", "media", "object",
  "ping", "websocket", "document"];
const UNKNOWN = 0, FIRST = 1, THIRD = 2; // parties

// ------------------------------------------------------------------ text

function lowered(text) { // UTF-8, A-Z lowered; lone surrogates as they are: TextEncoder would put U+FFFD
  const out = new Uint8Array(3 * text.length);
  let n = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.codePointAt(i);
    if (c < 0x80) out[n++] = c >= 65 && c <= 90 ? c + 32 : c;
    else {
      if (c < 0x800) out[n++] = 0xc0 | (c >> 6);
      else {
        if (c < 0x10000) out[n++] = 0xe0 | (c >> 12);
        else {
          out[n++] = 0xf0 | (c >> 18);
          out[n++] = 0x80 | ((c >> 12) & 63);
          i++;
        }
        out[n++] = 0x80 | ((c >> 6) & 63);
      }
      out[n++] = 0x80 | (c & 63);
    }
  }
  return out.subarray(0, n);
}

function parts(url) { // host, path and query, whole
  const end = url.indexOf("#"), before = end < 0 ? url : url.slice(0, end), scheme = before.indexOf("://");
  const rest = lowered(scheme < 0 ? before : before.slice(scheme + 3));
  const mark = rest.indexOf(63), query = mark < 0 ? rest.length : mark;
  const slash = rest.indexOf(47), path = slash < 0 || slash > query ? query : slash;
  return [rest.subarray(0, path), rest.subarray(path, query), rest.subarray(query)];
}

// ------------------------------------------------------------------ features

function bucket(hash) {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h = (h ^ (h >>> 16)) >>> 0;
  return MODEL.reserved + Math.floor((h * (MODEL.buckets - MODEL.reserved)) / 4294967296);
}

/** The buckets of a URL's n-grams, in the order of the specification. */
export function grams(url) {
  return gramsOf(parts(url));
}

function gramsOf([host, path, query]) {
  const texts = [[124, ...host.slice(-FIELDS[0][1]), 124], path.slice(0, FIELDS[1][1]), query.slice(0, FIELDS[2][1])];
  const found = [];
  texts.forEach((text, field) => {
    const seed = Math.imul(0x811c9dc5 ^ FIELDS[field][0].charCodeAt(0), 0x01000193);
    for (const n of GRAMS) {
      for (let i = 0; i + n <= text.length; i++) {
        let hash = seed;
        for (let j = i; j < i + n; j++) hash = Math.imul(hash ^ text[j], 0x01000193);
        found.push(bucket(hash));
      }
    }
  });
  return found;
}

/** The marks of a request: type, party, lengths; in url-grams/2 also how its domain is named beside its page's. */
export function marks(request) {
  return marksOf(parts(request.url), request);
}

function marksOf(of, { url, page = "", type = "other", third_party = undefined }) {
  const kind = Math.max(0, TYPES.indexOf(type));
  const bits = of.map((part) => Math.min(31, 32 - Math.clz32(part.length)));
  if (!MODEL.context) {
    return [kind * 2 + ((third_party ?? isThirdParty(url, page)) ? 1 : 0), 32 + kind, 64 + bits[0], 96 + bits[1],
      128 + bits[2]];
  }
  const domain = registrable(hostOf(url)), site = registrable(hostOf(page));
  const worked = site === "" ? UNKNOWN : domain !== site ? THIRD : FIRST;
  const party = third_party === undefined ? worked : third_party ? THIRD : FIRST;
  const [letters, quarters, alike] = site ? likeness(domain, site) : [0, 0, 0];
  return [4 * kind + party, 64 + kind, 96 + bits[0], 128 + bits[1], 160 + bits[2], 192 + 10 * party + letters,
    224 + 5 * party + quarters, 240 + 2 * party + alike, whole("d", domain)];
}

const binary = (bytes) => String.fromCharCode(...bytes); // a character for each byte

function whole(letter, text) {
  let hash = Math.imul(0x811c9dc5 ^ letter.charCodeAt(0), 0x01000193);
  for (const byte of lowered(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return bucket(hash);
}

function likeness(domain, site) { // letters in a row that both names share, in quarters of the shorter; one ending?
  const cut = (text) => (text.includes(".") ? text.indexOf(".") : text.length);
  const [a, b] = [domain, site].map((text) => binary(lowered(text.slice(0, cut(text))).subarray(0, 32)));
  let longest = 0;
  for (let at = 0; at < a.length; at++) {
    while (at + longest < a.length && b.includes(a.slice(at, at + longest + 1))) longest++;
  }
  const quarters = Math.floor((4 * longest) / Math.max(1, Math.min(a.length, b.length)));
  return [Math.min(longest, 9), quarters, domain.slice(cut(domain) + 1) === site.slice(cut(site) + 1) ? 1 : 0];
}

// ------------------------------------------------------------------ domains

/** The host of a URL, in small letters; "" if it has none, or none that can be read. */
export function hostOf(url) {
  let text = url.replace(/^[\u0000-\u0020]+/, "").replace(/[\t\r\n]/g, "");
  text = text.replace(/^[A-Za-z][A-Za-z0-9+.-]*:/, "");
  if (!text.startsWith("//")) return "";
  const authority = text.slice(2).split(/[/?#]/, 1)[0];
  const open = authority.includes("["), close = authority.includes("]");
  if (open !== close) return "";
  if (open && !isBracketed(authority.split("[")[1].split("]")[0])) return "";
  const bare = authority.replace(/[@:#?]/g, ""), folded = bare.normalize("NFKC");
  if (bare !== folded && /[/?#@:]/.test(folded)) return "";
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  const found = host.includes("[") ? host.slice(host.indexOf("[") + 1).split("]")[0] : host.split(":")[0];
  return found.toLowerCase();
}

function isBracketed(text) {
  if (text.startsWith("v")) return /^v[a-fA-F0-9]+\..+$/.test(text);
  try {
    return new URL(`http://[${text.split("%")[0]}]/`).hostname !== "" && text.includes(":");
  } catch {
    return false;
  }
}

let suffixes = null; // label -> Map of what stands before it; "" in one that is a suffix itself

function suffixTree() {
  const root = new Map();
  for (const line of SUFFIXES.split("\n")) {
    const [top, rules] = line.split("=");
    for (const rule of rules.split(",")) {
      let node = root;
      for (const label of [...(rule ? rule.split(".") : []), ...top.split(".")].reverse()) {
        if (!node.has(label)) node.set(label, new Map());
        node = node.get(label);
      }
      node.set("", true);
    }
  }
  return root;
}

/** The part of a host that somebody registered (a.b.co.uk -> b.co.uk), or the host itself. */
export function registrable(host) {
  suffixes ??= suffixTree();
  const labels = host.split(":")[0].trim().replace(/[.\u3002\uff0e\uff61]+$/, "").replace(/[\u3002\uff0e\uff61]/g, ".")
    .split(".");
  let node = suffixes, at = labels.length, suffix = labels.length;
  for (let i = labels.length - 1; i >= 0; i--) {
    const label = labels[i].toLowerCase();
    if (label !== "" && node.has(label)) {
      at = i;
      node = node.get(label);
      if (node.has("")) suffix = at;
    } else {
      if (node.has("*")) suffix = node.has(`!${label}`) ? at : at - 1;
      break;
    }
  }
  return suffix > 0 && suffix < labels.length && labels[suffix - 1] !== "" ? labels.slice(suffix - 1).join(".") : host;
}

/** Whether a request leaves the site of its page. */
export function isThirdParty(url, page) {
  const site = registrable(hostOf(page));
  return site !== "" && registrable(hostOf(url)) !== site;
}

// ------------------------------------------------------------------ the model

let tensors = null;

function weights() {
  if (tensors) return tensors;
  const bytes = Uint8Array.from(atob(MODEL.weights), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer), all = new Float32Array(bytes.length / 4);
  for (let i = 0; i < all.length; i++) all[i] = view.getFloat32(4 * i, true); // little-endian on every machine
  let begin = 0;
  tensors = MODEL.shapes.map((shape) => {
    const size = shape.reduce((a, b) => a * b, 1);
    begin += size;
    return all.subarray(begin - size, begin);
  });
  return tensors;
}

function bag(table, units, found, few) { // in float32, one after the other, as numpy adds them
  const sum = new Float32Array(units), half = new Float32Array(units);
  for (const at of found) for (let u = 0; u < units; u++) sum[u] += table[at * units + u];
  const root = Math.fround(Math.sqrt(Math.max(1, found.length)));
  for (const at of few) for (let u = 0; u < units; u++) half[u] += table[at * units + u];
  for (let u = 0; u < units; u++) sum[u] = Math.fround(sum[u] / root) + Math.fround(0.5 * half[u]);
  return sum;
}

function logits(found, few) {
  const all = weights();
  let next = 0, hidden = null;
  for (const layer of MODEL.layers) {
    if (layer.kind === "embedding_bag") hidden = bag(all[next++], layer.units, found, few);
    else if (layer.kind === "dense") {
      const weight = all[next++], bias = all[next++], before = hidden;
      hidden = Float32Array.from(bias, (b, u) => before.reduce((sum, x, i) => sum + x * weight[i * layer.units + u], b));
    } else if (layer.kind === "relu") hidden = hidden.map((x) => Math.max(x, 0));
    else hidden = hidden.map(Math.tanh);
  }
  return hidden;
}

const sigmoid = (x) => 0.5 * (1 + Math.tanh(x / 2));
const either = (a, b) => Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b))); // of two log-odds

/**
 * What the model says of one request. `page` is the URL of the page that made it, `type` one of the names of blockers
 * ("script", "image", "xmlhttprequest" ...). Whether it is third-party follows from both, unless `third_party` says so.
 */
export function score(request) {
  const of = parts(request.url), all = logits(gramsOf(of), marksOf(of, request));
  const [benign, ad, tracker] = MODEL.order.map((at) => all[at]);
  const { block, kind, threshold } = about.calibration;
  const p_block = sigmoid(block.scale * (either(ad, tracker) - benign) + block.offset);
  const p_ad = p_block * sigmoid(kind.scale * (ad - tracker) + kind.offset);
  return { p_ad, p_tracker: p_block - p_ad, p_block, block: Math.fround(p_block) >= threshold };
}

// ------------------------------------------------------------------ this model

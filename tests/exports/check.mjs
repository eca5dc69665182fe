// node check.mjs VECTORS NAME=MODEL.mjs...     prints what differs, as JSON: a list for each model, [] if nothing does
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [vectors, ...models] = process.argv.slice(2);
const { requests, domains } = JSON.parse(readFileSync(vectors, "utf-8"));
let wrong = [];
const told = [];
const expect = (what, found, wanted) => {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) wrong.push({ what, found, wanted });
};
const urlOf = (row) => row.url.map(([text, times]) => text.repeat(times)).join("");
const name = (row) => JSON.stringify(row.url).slice(0, 80);

for (const given of models) {
  const [called, path] = given.split("=");
  wrong = [];
  const model = await import(pathToFileURL(path));
  for (const row of requests) {
    const url = urlOf(row), wanted = row[called], request = { url, page: row.page, type: row.type };
    if ("third_party" in row) request.third_party = row.third_party;
    const grams = model.grams(url);
    const bytes = new Uint8Array(grams.flatMap((at) => [at & 255, at >> 8]));
    expect(`buckets of ${name(row)}`, [grams.length, createHash("sha256").update(bytes).digest("hex")], wanted.grams);
    expect(`marks of ${name(row)}`, model.marks(request), wanted.marks);
    if (row.host !== null) expect(`host of ${name(row)}`, model.hostOf(url), row.host);
    if (row.third_party === undefined) expect(`party of ${name(row)}`, model.isThirdParty(url, row.page), row.party);
    const said = model.score(request);
    const p = [said.p_ad, said.p_tracker, said.p_block];
    if (!p.every((value, i) => Math.abs(value - wanted.p[i]) <= 1e-6)) {
      wrong.push({ what: `p of ${name(row)}`, found: p, wanted: wanted.p });
    }
    expect(`block of ${name(row)}`, said.block, wanted.p[2] >= model.about.calibration.threshold);
  }
  for (const [host, wanted] of domains) expect(`domain of ${host}`, model.registrable(host), wanted);
  told.push(wrong);
}
console.log(JSON.stringify(told));

// node check.mjs VECTORS NAME=MODEL.mjs...     prints what differs, as JSON: a list for each model, [] if nothing does
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [vectors, ...models] = process.argv.slice(2);
const { requests, domains, reach } = JSON.parse(readFileSync(vectors, "utf-8"));
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
    const url = urlOf(row);
    const grams = model.grams(url);
    const bytes = new Uint8Array(grams.flatMap((at) => [at & 255, at >> 8]));
    expect(`buckets of ${name(row)}`, [grams.length, createHash("sha256").update(bytes).digest("hex")], row[called]);
    expect(`marks of ${name(row)}`, model.marks(url, row.type, row.party), row.marks);
    if (row.host !== null) expect(`host of ${name(row)}`, model.hostOf(url), row.host);
    if (row.third_party === undefined) expect(`party of ${name(row)}`, model.isThirdParty(url, row.page), row.party);
    const said = model.score({ url, page: row.page, type: row.type, third_party: row.third_party });
    const p = [said.p_ad, said.p_tracker, said.p_block];
    if (!p.every((value, i) => Math.abs(value - row.p[called][i]) <= 1e-6)) {
      wrong.push({ what: `p of ${name(row)}`, found: p, wanted: row.p[called] });
    }
    expect(`block of ${name(row)}`, said.block, row.p[called][2] >= model.about.calibration.threshold);
  }
  for (const [host, wanted] of domains) expect(`domain of ${host}`, model.registrable(host), wanted);
  const census = new model.Census();
  for (const row of requests) census.add(row.page, urlOf(row));
  for (const [domain, wanted] of reach) expect(`reach of ${domain}`, census.reach(domain), wanted);
  told.push(wrong);
}
console.log(JSON.stringify(told));

// Which requests each list blocks, by @ghostery/adblocker: the second opinion of tests/filterlists/test_engine_second.py.
//
//   stdin   {"module": "file:///.../index.js", "lists": ["text", ...], "requests": [[page, url, type], ...],
//            "rules": ["||ads.example^", ...]}
//   stdout  {"hits": [[[index, blocks, rule, exception], ...] for each list], "read": [true, ...] for each rule}
//
// Requests that no rule of a list matches are left out of its hits.

import { readFileSync } from 'node:fs';

// What it calls two of the types otherwise.
const TYPES = { subdocument: 'sub_frame', document: 'main_frame' };

const asked = JSON.parse(readFileSync(0, 'utf8'));
const { FiltersEngine, NetworkFilter, Request } = await import(asked.module);

const hits = asked.lists.map((text) => {
  const engine = FiltersEngine.parse(text, { debug: true, loadCosmeticFilters: false });
  const found = [];
  asked.requests.forEach(([page, url, type], index) => {
    const result = engine.match(Request.fromRawDetails({ url, sourceUrl: page, type: TYPES[type] ?? type }));
    if (result.filter !== undefined || result.exception !== undefined) {
      const text = (filter) => (filter === undefined ? '' : filter.rawLine ?? filter.toString());
      found.push([index, result.match, text(result.filter), text(result.exception)]);
    }
  });
  return found;
});
const read = asked.rules.map((rule) => NetworkFilter.parse(rule) !== null);
process.stdout.write(JSON.stringify({ hits, read }));

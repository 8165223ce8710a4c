// SPDX-License-Identifier: BSD-2-Clause
// node client.mjs: for each line of input, GET / from an instance of "web", and the reply.
import { Resolver } from "node:dns/promises";
import { createInterface } from "node:readline";

const SERVICE = "_web._tcp.service.local";
const KEEP_MS = 1000; // less than the TTL, which resolveSrv() does not tell

const resolver = new Resolver({ timeout: 1000, tries: 2 });
resolver.setServers(["127.0.0.1:8600"]); // not needed where resolv.conf leads to rosterd

let known = []; // what DNS said last, used on while it says nothing
let askedAt = -Infinity;

async function instances() {
  if (performance.now() - askedAt < KEEP_MS) return known;
  try {
    const records = await resolver.resolveSrv(SERVICE);
    known = await Promise.all(records.map(async (record) => {
      const [address] = await resolver.resolve4(record.name);
      return { ...record, address };
    }));
  } catch (error) {
    // There is none: so DNS says. Else (ESERVFAIL, ETIMEOUT, ECONNREFUSED) it said nothing.
    if (error.code === "ENOTFOUND" || error.code === "ENODATA") known = [];
  }
  askedAt = performance.now();
  return known;
}

// RFC 2782: the lowest priority first, and among equals a draw by weight.
function draw(records) {
  const priority = Math.min(...records.map((record) => record.priority));
  const tier = records.filter((record) => record.priority === priority);
  let left = Math.random() * tier.reduce((sum, record) => sum + record.weight, 0);
  return tier.find((record) => (left -= record.weight) < 0) ?? tier[0];
}

// Tries one instance after the other: one that cannot be reached costs no request.
async function get(path) {
  let rest = await instances();
  let failure = new Error(`no instance of ${SERVICE}`);
  while (rest.length > 0) {
    const record = draw(rest);
    try {
      const reply = await fetch(`http://${record.address}:${record.port}${path}`,
        { signal: AbortSignal.timeout(5000) });
      return await reply.text();
    } catch (error) {
      failure = error;
      rest = rest.filter((other) => other !== record);
    }
  }
  throw failure;
}

for await (const _line of createInterface({ input: process.stdin })) {
  console.log(await get("/").then((text) => text.trim(), (error) => `error: ${error.message}`));
}

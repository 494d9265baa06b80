// Serves the console as the service does, and leads /api/ to a service or to answers of its own.
//
//   SUNDIAL_URL=http://127.0.0.1:8080 node serve.mjs     a running service
//   node serve.mjs --stub                                canned answers; sign in with a token of `stub.mjs`

import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { fileURLToPath } from "node:url";

import { answer } from "./stub.mjs";

const FILES = new URL("../../functions/status/console/", import.meta.url);
const TYPES = { html: "text/html", css: "text/css", js: "text/javascript", svg: "image/svg+xml" };

export const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache",
};

/** Answers the server and its address. Without `service` the answers are the canned ones. */
export async function serve({ service = null, port = 0 } = {}) {
  const server = createServer((asked, reply) => {
    const { pathname } = new URL(asked.url, "http://localhost");
    const done = pathname.startsWith("/api/") ? (service ? pass(service, asked, reply) : answer(asked, reply)) : file(pathname, reply);
    Promise.resolve(done).catch((error) => {
      console.error(error);
      reply.destroy();
    });
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

async function file(pathname, reply) {
  const name = /^\/console\/?$/.test(pathname) ? "index.html" : /^\/console\/((?:js\/)?[a-z]+\.(?:css|js|svg))$/.exec(pathname)?.[1];
  const body = name && (await readFile(fileURLToPath(new URL(name, FILES))).catch(() => null));
  if (!body) return reply.writeHead(404, HEADERS).end();
  return reply.writeHead(200, { ...HEADERS, "content-type": `${TYPES[name.split(".").pop()]}; charset=utf-8` }).end(body);
}

function pass(service, asked, reply) {
  const target = new URL(asked.url, service);
  const passed = request(target, { method: asked.method, headers: { ...asked.headers, host: target.host } }, (answered) => {
    reply.writeHead(answered.statusCode, answered.headers);
    answered.pipe(reply);
  });
  passed.on("error", () => reply.writeHead(502).end());
  reply.on("close", () => passed.destroy());
  asked.pipe(passed);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const service = process.argv.includes("--stub") ? null : (process.env.SUNDIAL_URL ?? null);
  const { url } = await serve({ service, port: Number(process.env.PORT ?? 0) });
  console.log(`${url}/console, ${service ? `in front of ${service}` : "with canned answers"}`);
}

// Answers each message with what Node's zlib makes of it: "stream" has one
// context for all of them, as zlib-stream needs it; "each" has one for each.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants, createInflate, inflateSync } from 'node:zlib';

const inflate = createInflate({ flush: constants.Z_SYNC_FLUSH });
const chunks = [];
inflate.on('data', (chunk) => chunks.push(chunk));

async function next(message) {
  chunks.length = 0;
  await new Promise((done) => inflate.write(message, done));
  return Buffer.concat(chunks);
}

const input = readFileSync(0);
const answers = [];
for (let at = 0; at < input.length; ) {
  const end = at + 4 + input.readUInt32BE(at);
  const message = input.subarray(at + 4, end);
  const answer = process.argv[2] === 'stream' ? await next(message) : inflateSync(message);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(answer.length);
  answers.push(header, answer);
  at = end;
}
const out = Buffer.concat(answers);
if (!process.stdout.write(out)) await once(process.stdout, 'drain');

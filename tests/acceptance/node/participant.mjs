// Loyalty points: a participant with a bare AMQP client. One process; its file is inbox and ledger in one.
import { createHash } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import amqp from "amqplib";

const { AMQP_URL, INBOX = "loyalty.jsonl" } = process.env;
const USER = decodeURIComponent(new URL(AMQP_URL).username);
const QUEUE = "saga.commands.loyalty";
const ECHOED = ["saga-step", "saga-kind", "saga-execution", "saga-attempt", "saga-idempotency-key", "traceparent"];
const NEEDED = ECHOED.slice(0, 5);

// ---- What the service does: returns its answer, and what it changes.
const handlers = {
  "loyalty.AwardPoints.v1": ({ customer, points }) =>
    customer.startsWith("closed")
      ? { outcome: "failed", type: "loyalty.AccountClosed.v1", code: "AccountClosed", reply: { customer } }
      : { outcome: "ok", type: "loyalty.PointsAwarded.v1", reply: { balance: balance(customer) + points }, customer, points,
          cost: `0.02 EUR, ${points} points` },
  "loyalty.RevokePoints.v1": ({ customer, points }) =>
    ({ outcome: "ok", type: "loyalty.PointsRevoked.v1", reply: { balance: balance(customer) - points }, customer, points: -points }),
};
const balance = (customer) => balances.get(customer) ?? 0;
const valid = (command) => typeof command?.customer === "string" && Number.isInteger(command.points) && command.points > 0;

// ---- The inbox: what was answered is written in one line with its effect, and is on the disk before it is sent.
const rows = new Map(), balances = new Map();
const written = existsSync(INBOX) ? readFileSync(INBOX) : Buffer.alloc(0);
const whole = written.lastIndexOf("\n") + 1; // a line cut off by a crash was never answered
if (whole < written.length) truncateSync(INBOX, whole);
const log = openSync(INBOX, "a");
written.subarray(0, whole).toString().split("\n").filter(Boolean).forEach((line) => remember(JSON.parse(line)));

function remember(kept) {
  for (const row of kept) {
    rows.set(row.key, row);
    if (row.points) balances.set(row.customer, balance(row.customer) + row.points);
  }
}
function keep(...kept) {
  writeSync(log, JSON.stringify(kept) + "\n");
  fsyncSync(log);
  remember(kept);
  return kept[0];
}

// ---- The rules, in the order of the wire contract. There is one thread: nothing is ever in progress elsewhere.
const refused = (code, message) => ({ outcome: "refused", code, message, effect: "none" });

function answer(command, text, type, headers) {
  const handle = handlers[type];
  if (!handle) return refused("unknown-command", `${type} is not handled here`);
  const key = headers["saga-idempotency-key"], hash = createHash("sha256").update(`${type} ${text}`).digest("hex");
  const known = rows.get(key);
  if (known?.outcome === "cancelled") return refused("cancelled", "its compensation came first");
  if (known && known.hash !== hash) return refused("key-reused", "this key was used for other bytes");
  if (known) return { ...known, effect: known.effect === "none" ? "none" : "replayed" };
  if (Date.parse(headers["saga-expires-at"] ?? "9999-01-01") <= Date.now()) return refused("expired", "it came too late");
  if (!valid(command)) return refused("invalid-payload", "wanted: customer, and points above 0");
  if (headers["saga-kind"] === "compensation") {
    const undone = rows.get(headers["saga-undoes"]);
    const nothing = { key, hash, outcome: "ok", type: "loyalty.PointsRevoked.v1", reply: {}, effect: "none" };
    if (!undone && headers["saga-undoes-outcome"] !== "ok") // it never came: make sure that it never will
      return keep(nothing, { key: headers["saga-undoes"], outcome: "cancelled" });
    if (undone && undone.outcome !== "ok") return keep(nothing);
  } // forgotten, though it happened: the payload says all that an undo needs
  const done = handle(command);
  return keep({ key, hash, ...done, effect: done.outcome === "ok" ? "applied" : "none" });
}

// ---- Messages.
function read(message) { // the command, or why nobody can read it
  const headers = message.properties.headers ?? {};
  const missing = NEEDED.find((name) => typeof headers[name] !== "string");
  if (missing || !message.properties.correlationId || !message.properties.messageId)
    return { problem: "missing-header", detail: missing ?? "correlation_id or message_id" };
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(message.content);
    return { command: JSON.parse(text), text };
  } catch (error) {
    return { problem: "not-json", detail: error.message, reply: refused("invalid-payload", error.message) };
  }
}

function reply({ properties }, { outcome, type = "", code, message, effect, cost, reply: body }) {
  const headers = Object.fromEntries(ECHOED.map((name) => [name, properties.headers[name]]).filter(([, value]) => value));
  Object.assign(headers, { "saga-in-reply-to": properties.messageId, "saga-outcome": outcome, "saga-effect": effect });
  if (code) headers["saga-code"] = code;
  if (message) headers["saga-message"] = message;
  if (cost) headers["saga-cost"] = cost; // also of an answer from memory: it counts once
  const options = { type, headers, correlationId: properties.correlationId, messageId: `${properties.messageId}.reply` };
  return ["saga.replies", `loyalty.${outcome}`, Buffer.from(body ? JSON.stringify(body) : ""), options];
}

function parked({ fields, properties, content }, { problem, detail }) {
  const origin = { "saga-park-reason": problem, "saga-park-detail": detail, "saga-origin-queue": QUEUE,
    "saga-origin-exchange": fields.exchange, "saga-origin-routing-key": fields.routingKey };
  const { type, correlationId, messageId } = properties;
  return ["saga.parking", QUEUE, content, { type, correlationId, messageId, headers: { ...properties.headers, ...origin } }];
}

async function handle(message) {
  const found = read(message);
  if (found.problem) await publish(...parked(message, found));
  const said = found.problem ? found.reply : answer(found.command, found.text, message.fields.routingKey, message.properties.headers);
  if (said) await publish(...reply(message, said));
  channel.ack(message); // only now: whatever happened before this line comes again
}

const publish = (exchange, key, body, options) => new Promise((resolve, reject) =>
  channel.publish(exchange, key, body, { ...options, persistent: true, mandatory: true, userId: USER }, (error) =>
    error ? reject(error) : resolve()));
const stop = (why) => { console.error(why); process.exit(1); }; // whoever supervises starts it again

const connection = await amqp.connect(AMQP_URL);
connection.on("close", () => stop("the broker is gone"));
const channel = await connection.createConfirmChannel();
channel.on("return", () => stop("no queue takes an answer: apply the topology"));
await channel.prefetch(50);
await channel.consume(QUEUE, (message) => (message ? handle(message).catch(stop) : stop("the queue is gone")), { exclusive: true });
process.on("SIGTERM", () => { closeSync(log); process.exit(0); });
console.log("loyalty started");

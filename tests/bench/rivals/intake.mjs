// webhook-intake in JavaScript, for `make bench`: a push of 1688 is verified, read, and put on the queue with the AWS SDK.
//
// The loop stands in for Lambda's own runtime interface client; it does less.

import { createHmac, timingSafeEqual } from "node:crypto";
import http from "node:http";
import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { SendMessageBatchCommand, SQSClient } from "@aws-sdk/client-sqs";

const sqs = new SQSClient({ maxAttempts: 3 });
const queue = process.env.EVENTS_QUEUE_URL;
const document = await new SecretsManagerClient({ maxAttempts: 3 }).send(
  new GetSecretValueCommand({ SecretId: process.env.SECRET_ID }),
);
const secrets = JSON.parse(document.SecretString);
const statuses = {
  waitbuyerpay: "awaiting_payment",
  waitsellersend: "awaiting_shipment",
  waitbuyerreceive: "shipped",
  confirm_goods: "signed",
  success: "finished",
};
const kind = /^[A-Za-z0-9_]{1,64}$/;

const answer = (statusCode, body) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
const refusal = (status, code, message) => answer(status, { error: { code, message } });

const isSigned = (shop, fields) => {
  const claimed = Buffer.from(fields.get("_aop_signature") ?? "", "hex");
  const pairs = [...fields].filter(([key]) => key !== "_aop_signature").map(([key, value]) => key + value);
  const text = pairs.sort().join("");
  return shop.app_secrets.some((secret) => {
    const signature = createHmac("sha1", secret).update(text).digest();
    return claimed.length === signature.length && timingSafeEqual(claimed, signature);
  });
};

const eventOf = (shop, message) => {
  const trade = String(message.data.orderId);
  const status = message.data.currentStatus;
  return {
    specversion: "1.0",
    id: String(message.msgId),
    source: `/marketplaces/1688/${shop}`,
    type: "sampan.trade.changed.v1",
    subject: trade,
    time: new Date(Number(message.gmtBorn)).toISOString(),
    datacontenttype: "application/json",
    data: {
      marketplace: "1688",
      shop,
      trade_id: trade,
      status: statuses[status] ?? "unrecognised",
      raw_status: status,
    },
  };
};

const take = async (request) => {
  const name = request.rawPath.split("/").at(-1);
  const shop = secrets.marketplaces["1688"][name];
  if (!shop) return refusal(404, "not_found", "the shop is not known");
  const body = Buffer.from(request.body, request.isBase64Encoded ? "base64" : "utf8").toString();
  const fields = new URLSearchParams(body);
  if (!isSigned(shop, fields)) return refusal(401, "signature_invalid", "the signature is not good");
  const message = JSON.parse(fields.get("message"));
  if (!kind.test(message.type)) return refusal(400, "malformed", "type is not the name of a message type");
  const events = [eventOf(name, message)];
  const entries = events.map((event, nth) => ({ Id: String(nth), MessageBody: JSON.stringify(event) }));
  const sent = await sqs.send(new SendMessageBatchCommand({ QueueUrl: queue, Entries: entries }));
  if (sent.Failed?.length) return refusal(503, "unavailable", "try again");
  return answer(200, { status: "accepted" });
};

const handle = async (request) => {
  const began = performance.now();
  const answered = await take(request);
  const line = {
    event: "webhook.received",
    "http.status": answered.statusCode,
    duration_ms: Math.round(performance.now() - began),
  };
  console.log(JSON.stringify(line));
  return answered;
};

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const ask = (method, path, body) =>
  new Promise((resolve, reject) => {
    const request = http.request({ agent, host, port, method, path }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });

const below = "/2018-06-01/runtime/invocation";
for (;;) {
  const next = await ask("GET", `${below}/next`);
  const id = next.headers["lambda-runtime-aws-request-id"];
  await ask("POST", `${below}/${id}/response`, JSON.stringify(await handle(JSON.parse(next.body))));
}

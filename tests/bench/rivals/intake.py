"""webhook-intake in Python, for `make bench`: a push of 1688 is verified, read, and put on the queue with boto3.

The loop stands in for Lambda's own runtime interface client; it does less.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import sys
import time
from datetime import datetime, timezone
from urllib.parse import parse_qsl

import boto3
from botocore.config import Config

CONFIG = Config(retries={"max_attempts": 3, "mode": "standard"}, connect_timeout=1.5, read_timeout=3)
SQS = boto3.client("sqs", config=CONFIG)
QUEUE = os.environ["EVENTS_QUEUE_URL"]
SECRETS = json.loads(
    boto3.client("secretsmanager", config=CONFIG).get_secret_value(SecretId=os.environ["SECRET_ID"])["SecretString"]
)
STATUSES = {
    "waitbuyerpay": "awaiting_payment",
    "waitsellersend": "awaiting_shipment",
    "waitbuyerreceive": "shipped",
    "confirm_goods": "signed",
    "success": "finished",
}
KIND = re.compile(r"[A-Za-z0-9_]{1,64}")


def answer(status, body):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def refusal(status, code, message):
    return answer(status, {"error": {"code": code, "message": message}})


def is_signed(shop, fields):
    claimed = fields.get("_aop_signature", "").upper()
    text = "".join(sorted(key + value for key, value in fields.items() if key != "_aop_signature"))
    signatures = (
        hmac.new(secret.encode(), text.encode(), hashlib.sha1).hexdigest().upper() for secret in shop["app_secrets"]
    )
    return any(hmac.compare_digest(claimed, signature) for signature in signatures)


def event_of(shop, message):
    at = datetime.fromtimestamp(int(message["gmtBorn"]) / 1000, timezone.utc)
    status = message["data"]["currentStatus"]
    trade = str(message["data"]["orderId"])
    return {
        "specversion": "1.0",
        "id": str(message["msgId"]),
        "source": f"/marketplaces/1688/{shop}",
        "type": "sampan.trade.changed.v1",
        "subject": trade,
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "marketplace": "1688",
            "shop": shop,
            "trade_id": trade,
            "status": STATUSES.get(status, "unrecognised"),
            "raw_status": status,
        },
    }


def take(request):
    name = request["rawPath"].rsplit("/", 1)[-1]
    shop = SECRETS["marketplaces"]["1688"].get(name)
    if shop is None:
        return refusal(404, "not_found", "the shop is not known")
    body = base64.b64decode(request["body"]) if request["isBase64Encoded"] else request["body"].encode()
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
    if not is_signed(shop, fields):
        return refusal(401, "signature_invalid", "the signature is not good")
    message = json.loads(fields["message"])
    if not KIND.fullmatch(message["type"]):
        return refusal(400, "malformed", "type is not the name of a message type")
    events = [event_of(name, message)]
    entries = [{"Id": str(nth), "MessageBody": json.dumps(event)} for nth, event in enumerate(events)]
    sent = SQS.send_message_batch(QueueUrl=QUEUE, Entries=entries)
    if sent.get("Failed"):
        return refusal(503, "unavailable", "try again")
    return answer(200, {"status": "accepted"})


def handle(request):
    began = time.monotonic()
    answered = take(request)
    line = {
        "event": "webhook.received",
        "http.status": answered["statusCode"],
        "duration_ms": int((time.monotonic() - began) * 1000),
    }
    print(json.dumps(line), file=sys.stdout, flush=True)
    return answered


def main():
    runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    below = "/2018-06-01/runtime/invocation"
    while True:
        runtime.request("GET", f"{below}/next")
        response = runtime.getresponse()
        request, invocation = json.loads(response.read()), response.headers["lambda-runtime-aws-request-id"]
        runtime.request("POST", f"{below}/{invocation}/response", body=json.dumps(handle(request), separators=(",", ":")))
        runtime.getresponse().read()


main()

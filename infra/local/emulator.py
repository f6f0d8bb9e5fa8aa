"""Starts the local emulator (ministack) with three corrections, and writes down which permissions are used.

1. Its Runtime API server sends an answer's headers and body as two packets and lets the kernel hold the second
   back, which adds 44 ms to every invocation. Here they go out at once.
2. With AUTH=true it enforces the roles of the functions, but asks for sqs:SendMessageBatch, an action that AWS
   does not have: there a batch needs sqs:SendMessage.
3. It keeps the disk of a function as the text that a template's parameter is, and answers with that text where AWS
   answers with a number, which no SDK reads.

The file that PERMISSIONS_FILE names has a line of JSON for each statement of each role that asked for anything, and one
for each action on each resource that was asked for, with the statement that let it through; none when nothing did. So a
test can tell which permissions are missing, and which nobody needs (tests/stack/permissions.rs).
"""

import json
import os
import socketserver

from ministack.core import iam_actions, iam_evaluator
from ministack.services.cloudformation import provisioners

socketserver.StreamRequestHandler.disable_nagle_algorithm = True

action_from_target = iam_actions._action_from_target
iam_actions._action_from_target = lambda headers: {"SendMessageBatch": "SendMessage"}.get(
    action_from_target(headers), action_from_target(headers)
)

functions = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]


def with_a_number(provision):
    def provisioned(*arguments, **named):
        for properties in arguments:
            if isinstance(properties, dict) and "EphemeralStorage" in properties:
                properties["EphemeralStorage"]["Size"] = int(properties["EphemeralStorage"]["Size"])
        return provision(*arguments, **named)

    return provisioned


functions |= {verb: with_a_number(functions[verb]) for verb in ("create", "update")}

evaluate = iam_evaluator.evaluate
written_down = set()


def write_down(**fact):
    line = json.dumps(fact)
    if line not in written_down:
        written_down.add(line)
        with open(os.environ["PERMISSIONS_FILE"], "a") as file:
            file.write(line + "\n")


def evaluate_and_write_down(context, policies, *limits):
    result = evaluate(context, policies, *limits)
    role = context.principal_arn
    statements = [statement for policy in policies for statement in policy]
    # A queue or a bucket without a policy of its own is asked as well, and has nothing to say.
    if not statements:
        return result
    for statement in statements:
        write_down(role=role, sid=statement.sid, may=statement.actions, on=statement.resources)
    let_through = result.matched_sid if result.decision == "Allow" else None
    write_down(role=role, did=context.action, to=context.resource_arn, by=let_through)
    return result


iam_evaluator.evaluate = evaluate_and_write_down

if __name__ == "__main__":
    from ministack.app import main

    main()

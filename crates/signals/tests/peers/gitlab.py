"""Reads [{header, body}] and holds each body against pydantic-gitlab-webhooks' model of its event; prints what breaks it."""

import json
import sys

from pydantic import ValidationError
from pydantic_gitlab_webhooks import validate_event_header_and_body_dict

broken = []
for delivery in json.load(sys.stdin):
    try:
        validate_event_header_and_body_dict(delivery["header"], delivery["body"])
    except ValidationError as error:
        broken.append(f"{delivery['header']}: {error}")
print(json.dumps(broken))

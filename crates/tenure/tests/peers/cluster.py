"""A stand-in for the part of a cluster's API server that answers TokenReviews (authentication.k8s.io/v1).

It is no Kubernetes: it knows nothing but which service accounts and pods there are, and looks at a token as the API server's
validator of service account tokens does after the signature, which here is Tenure's own job: its time, its audience, and
whether the service account and the pod that it is bound to are the ones that are there. kubectl and Kubernetes' own Python
client read its answers.

    cluster.py CERTIFICATE KEY        says its port on a line of its own; PUT /stand-in sets what there is
"""

import base64
import json
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

V1 = "authentication.k8s.io/v1"
REVIEWS = f"/apis/{V1}/tokenreviews"
# Accounts and pods by uid; what the reviewer signs in with; how it answers; how often it was asked.
STATE = {"accounts": [], "pods": [], "reviewer": "", "manner": "well", "asked": 0}
DISCOVERY = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {
                "name": "authentication.k8s.io",
                "versions": [{"groupVersion": V1, "version": "v1"}],
                "preferredVersion": {"groupVersion": V1, "version": "v1"},
            }
        ],
    },
    f"/apis/{V1}": {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": V1,
        "resources": [
            {"name": "tokenreviews", "singularName": "", "namespaced": False, "kind": "TokenReview", "verbs": ["create"]}
        ],
    },
}


def claims_of(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def reviewed(spec):
    """The status of a review: what it lacks is left out, as the API server leaves it out."""

    def refused(why):
        return {"user": {}, "error": why}

    try:
        claims = claims_of(spec["token"])
        bound = claims["kubernetes.io"]
        account = bound["serviceaccount"]
    except Exception:
        return refused("invalid bearer token")
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    wanted = spec.get("audiences") or ["https://kubernetes.default.svc"]
    common = [audience for audience in wanted if audience in audiences]
    if not common:
        return refused(f'[invalid bearer token, token audiences {json.dumps(audiences)} is invalid for the target audiences {json.dumps(wanted)}]')
    if claims["exp"] <= time.time():
        return refused("[invalid bearer token, service account token has expired]")
    if account["uid"] not in STATE["accounts"] or ("pod" in bound and bound["pod"]["uid"] not in STATE["pods"]):
        return refused("[invalid bearer token, service account token has been invalidated]")
    namespace = bound["namespace"]
    user = {
        "username": claims["sub"],
        "uid": account["uid"],
        "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/credential-id": [f'JTI={claims.get("jti")}']},
    }
    if "pod" in bound:
        user["extra"]["authentication.kubernetes.io/pod-name"] = [bound["pod"]["name"]]
        user["extra"]["authentication.kubernetes.io/pod-uid"] = [bound["pod"]["uid"]]
    return {"authenticated": True, "user": user, "audiences": common}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def status(self, code, reason, message):
        self.answer(
            code,
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code},
        )

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_PUT(self):
        STATE.update(json.loads(self.body()))
        self.answer(200, STATE)

    def do_GET(self):
        path = self.path.split("?")[0]
        if path in DISCOVERY:
            self.answer(200, DISCOVERY[path])
        else:
            self.status(404, "NotFound", "the server could not find the requested resource")

    def do_POST(self):
        body = self.body()
        STATE["asked"] += 1
        if STATE["manner"] == "hangs":
            time.sleep(60)
        if STATE["manner"] == "redirects":
            self.send_response(307)
            self.send_header("Location", REVIEWS)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.headers.get("Authorization") != f'Bearer {STATE["reviewer"]}':
            return self.status(401, "Unauthorized", "Unauthorized")
        if self.path.split("?")[0] != REVIEWS:
            return self.status(404, "NotFound", "the server could not find the requested resource")
        review = json.loads(body)
        # What is left out, the address says.
        if (review.get("kind", "TokenReview"), review.get("apiVersion", V1)) != ("TokenReview", V1):
            return self.status(400, "BadRequest", "the object provided is unrecognized")
        if not review.get("spec", {}).get("token"):
            return self.status(400, "BadRequest", "token is required for TokenReview in authentication")
        self.answer(201, {"kind": "TokenReview", "apiVersion": V1, "metadata": {}, "spec": review["spec"], "status": reviewed(review["spec"])})

    def log_message(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()

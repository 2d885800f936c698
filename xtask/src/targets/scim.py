"""A SCIM service provider over TLS: the library scim2-server, in memory, and what an application adds to it.

Tokens may do what their lines say, of what an administrator posts to /tokens; users log in with their password at /Me.
Each sort of provider is a tenant, by what it does with requests that others understand.
"""

import base64
import json
import ssl
import sys
from wsgiref.simple_server import WSGIRequestHandler, make_server

from scim2_models import AuthenticationScheme, ForbiddenException, NotImplementedException, UnauthorizedException
from scim2_server.applications.wsgi import TenantDispatcher
from scim2_server.memory import InMemoryStorage
from scim2_server.service import ScimService
from scim2_server.testserver.application import BEARER_TOKEN_SCHEME, BearerTokenApplication
from scim2_server.testserver.cli import ThreadingWSGIServer
from scim2_server.utils import load_default_provider

port, certificate, key, administrator = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
# By the tenant: whose each token is, and what it may do.
tokens = {}
BASIC = AuthenticationScheme(
    type=AuthenticationScheme.Type.httpbasic, name="password", description="name and password"
)


class Service(ScimService):
    def __init__(self, sort, provider):
        super().__init__(provider)
        self.sort = sort

    def me_target(self, request):
        if request.subject is None or request.subject[0] is None:
            raise NotImplementedException(detail="this token is nobody's")
        return self.get_resource_type_by_endpoint("Users"), request.subject[0].id

    def authorize(self, request, target, resource_type):
        may = request.subject[1]
        if may is None:
            return
        endpoint = "/Me" if target.me else resource_type.endpoint
        if f"{request.method.upper()} {endpoint}" not in may:
            raise ForbiddenException(detail="this token may not do that")

    def apply_patch(self, current, patch_op, conditions):
        for operation in patch_op.operations:
            path = str(operation.path or "")
            # What some providers answer 200 to, and change nothing.
            if self.sort == "pathless" and path == "active":
                return None
            if self.sort == "markless" and "entitlements" in f"{path} {operation.value}":
                return None
        return super().apply_patch(current, patch_op, conditions)

    def check_deletion(self, current, conditions):
        if self.sort == "lasting":
            raise ForbiddenException(detail="users are kept here")
        return super().check_deletion(current, conditions)


class Application(BearerTokenApplication):
    def __init__(self, sort, storage, provider):
        super().__init__(storage, provider, Service(sort, provider), [administrator])
        self.sort = sort

    def subject_of(self, request):
        """Who asks, and what that may do: none is everything."""
        scheme, _, given = (request.header("Authorization") or "").partition(" ")
        if scheme.lower() == "basic":
            name, _, password = base64.b64decode(given).decode().partition(":")
            user = self.user(name)
            if user is not None and user.active is not False and user.password == password:
                return user, {"GET /Me"}
        elif given == administrator:
            return None, None
        elif (self.sort, given) in tokens:
            name, may = tokens[self.sort, given]
            return self.user(name), may
        raise UnauthorizedException(detail="no such token, or no such user with this password")

    def user(self, name):
        users = [user for user in self.storage.resources if getattr(user, "user_name", None) == name]
        return users[0] if users else None

    def check_auth(self, request):
        request.subject = self.subject_of(request)

    def get_subject(self, request):
        return request.subject

    def serve(self, request):
        # HTTP's own comparison, by which a weak tag is never the same (RFC 9110 section 13.1.1).
        given = request.header("If-Match")
        if self.sort == "strong" and given and given.startswith("W/"):
            request.headers = {**request.headers, "IF-MATCH": '"never"'}
        if self.sort == "lists" and request.method == "PATCH":
            told = json.loads(request.body)
            told["Operations"] = [step for operation in told["Operations"] for step in listed(operation)]
            request.body = json.dumps(told).encode()
        return super().serve(request)


def listed(operation):
    """A removal from a list, as providers read it that know it by its values alone."""
    if operation["op"] == "remove" and operation["path"].startswith("members["):
        return [{"op": "add", "path": "members", "value": []}]
    if operation["op"] == "remove" and operation["path"] == "members":
        members = [member["value"] for member in operation["value"]]
        return [{"op": "remove", "path": f'members[value eq "{member}"]'} for member in members]
    return [operation]


def application(sort):
    provider = load_default_provider()
    provider.config.authentication_schemes = [BEARER_TOKEN_SCHEME] + ([] if sort == "tokens" else [BASIC])
    if sort == "strong":
        provider.config.patch.supported = False
    if sort == "unfiltered":
        provider.config.filter.supported = False
        provider.config.change_password.supported = False
    return Application(sort, InMemoryStorage(), provider)


sorts = ["plain", "lists", "pathless", "markless", "lasting", "strong", "tokens", "unfiltered"]
scim = TenantDispatcher(lambda sort: application(sort) if sort in sorts else None)


def serve(environ, start_response):
    if environ["PATH_INFO"] != "/tokens":
        return scim(environ, start_response)
    if environ.get("HTTP_AUTHORIZATION") != f"Bearer {administrator}":
        start_response("401 Unauthorized", [])
        return [b""]
    told = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    tokens[told["sort"], told["token"]] = told["user"], set(told["may"])
    start_response("204 No Content", [])
    return [b""]


class Quiet(WSGIRequestHandler):
    def log_request(self, *_):
        pass


class Server(ThreadingWSGIServer):
    request_queue_size = 128


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
with make_server("127.0.0.1", port, serve, server_class=Server, handler_class=Quiet) as server:
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()

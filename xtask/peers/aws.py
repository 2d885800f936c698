"""moto, with AssumeRoleWithWebIdentity as AWS documents it.

By itself moto takes any token there, answers 500 to a call without a signature once it checks signatures, keeps a
session policy and asks nobody for it, and reads no condition of a policy of a session's role. Here the call needs no
signature; the token is held against the key set that its issuer publishes, the registered provider, and the conditions
of the role's trust policy; sessions end, a session policy counts, and so do the conditions that are named below. A role
has room for so many bytes of inline policies, without their blanks.
What is here is a reading of AWS's documentation, and no proof of what AWS does.
"""

import base64
import datetime
import fnmatch
import json
import threading
import time
import urllib.request

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam.access_control import (
    AssumedRoleAccessKey,
    IAMPolicy,
    IAMPolicyStatement,
    IAMRequestBase,
    PermissionResult,
)
from moto.iam.exceptions import LimitExceededException
from moto.iam.models import IAMBackend, iam_backends
from moto.server import main
from moto.sts.exceptions import STSClientError
from moto.sts.models import AssumedRole, sts_backends
from moto.sts.responses import TokenResponse

SHORTEST = 900
LONGEST_POLICY = 2048
ROOM = 10_240
asked = threading.local()


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def number(part):
    return int.from_bytes(decoded(part), "big")


def fetched(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def verify(token):
    """The claims of a token, if its issuer's key made its signature."""
    try:
        head, body, signature = token.split(".")
        header, claims = json.loads(decoded(head)), json.loads(decoded(body))
        keys = fetched(fetched(claims["iss"] + "/.well-known/openid-configuration")["jwks_uri"])["keys"]
        key = next(key for key in keys if key["kid"] == header["kid"] and key["alg"] == header["alg"])
        said, made = f"{head}.{body}".encode(), decoded(signature)
        if header["alg"] == "RS256":
            public = rsa.RSAPublicNumbers(number(key["e"]), number(key["n"])).public_key()
            public.verify(made, said, padding.PKCS1v15(), hashes.SHA256())
        elif header["alg"] == "ES256":
            public = ec.EllipticCurvePublicNumbers(number(key["x"]), number(key["y"]), ec.SECP256R1()).public_key()
            r, s = int.from_bytes(made[:32], "big"), int.from_bytes(made[32:], "big")
            public.verify(utils.encode_dss_signature(r, s), said, ec.ECDSA(hashes.SHA256()))
        else:
            raise STSClientError("InvalidIdentityToken", "The algorithm of the token isn't supported")
    except (InvalidSignature, KeyError, StopIteration, ValueError, OSError) as error:
        raise STSClientError("InvalidIdentityToken", f"Couldn't verify the token: {type(error).__name__}") from error
    if claims["exp"] <= time.time():
        raise STSClientError("ExpiredTokenException", "Token expired")
    return claims


def several(value):
    return value if isinstance(value, list) else [value]


def holds(conditions, context):
    """Whether the conditions that are known hold; one that isn't known doesn't."""
    for operator, keys in conditions.items():
        for key, wanted in keys.items():
            found = context.get(key)
            if operator == "StringEquals":
                held = found in several(wanted)
            elif operator == "StringLike":
                held = found is not None and any(fnmatch.fnmatchcase(found, one) for one in several(wanted))
            elif operator == "DateLessThan":
                held = found is not None and found < datetime.datetime.fromisoformat(wanted)
            elif operator == "DateGreaterThanEquals":
                held = found is not None and found >= datetime.datetime.fromisoformat(wanted)
            else:
                held = False
            if not held:
                return False
    return True


keep = IAMBackend.put_role_policy


def put_role_policy(self, role_name, policy_name, policy_json):
    kept = {**self.get_role(role_name).policies, policy_name: policy_json}
    if sum(len("".join(policy.split())) for policy in kept.values()) > ROOM:
        raise LimitExceededException(f"Maximum policy size of {ROOM} bytes exceeded for role {role_name}")
    keep(self, role_name, policy_name, policy_json)


IAMBackend.put_role_policy = put_role_policy

begin = AssumedRole.__init__


def begun(self, *given, **named):
    self.begun = datetime.datetime.now(datetime.timezone.utc)
    begin(self, *given, **named)


AssumedRole.__init__ = begun

take = TokenResponse.assume_role_with_web_identity


def assume_role_with_web_identity(self):
    claims = verify(self._get_param("WebIdentityToken"))
    iam = iam_backends[self.current_account]["aws"]
    issuer = claims["iss"].split("://", 1)[1]
    provider = next((one for one in iam.list_open_id_connect_providers() if one.endswith("/" + issuer)), None)
    if provider is None:
        raise STSClientError("InvalidIdentityToken", "No OpenIDConnect provider found in your account for " + claims["iss"])
    if claims["aud"] not in iam.get_open_id_connect_provider(provider).client_id_list:
        raise STSClientError("InvalidIdentityToken", "Incorrect token audience")
    name = self._get_param("RoleSessionName")
    context = {
        issuer + ":sub": claims["sub"],
        issuer + ":aud": claims["aud"],
        "sts:RoleSessionName": name,
    }
    try:
        role = iam.get_role_by_arn(self._get_param("RoleArn"))
        trust = several(json.loads(role.assume_role_policy_document)["Statement"])
    except Exception:
        trust = []
    trusted = any(
        one["Effect"] == "Allow"
        and provider in several(one["Principal"].get("Federated", []))
        and "sts:AssumeRoleWithWebIdentity" in several(one["Action"])
        and holds(one.get("Condition", {}), context)
        for one in trust
    )
    if not trusted:
        raise STSClientError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
    duration = self._get_int_param("DurationSeconds", 3600)
    if not SHORTEST <= duration <= role.max_session_duration:
        raise STSClientError("ValidationError", f"DurationSeconds {duration} isn't within {SHORTEST} and the role's maximum")
    policy = self._get_param("Policy")
    if policy is not None and (len(policy) > LONGEST_POLICY or "Statement" not in json.loads(policy)):
        raise STSClientError("MalformedPolicyDocument", "The session policy is none, or too long")
    answer = take(self)
    answer.result["AssumedRoleUser"]["AssumedRoleId"] = f"{role.id}:{name}"
    return answer


TokenResponse.assume_role_with_web_identity = assume_role_with_web_identity

authorize = ActionAuthenticatorMixin._authenticate_and_authorize_normal_action


def authenticate_and_authorize(self, resource="*"):
    if self._get_action() != "AssumeRoleWithWebIdentity":
        authorize(self, resource)


ActionAuthenticatorMixin._authenticate_and_authorize_normal_action = authenticate_and_authorize

permit = IAMRequestBase.check_action_permitted


def check_action_permitted(self, resource):
    asked.context = None
    if not isinstance(self._access_key, AssumedRoleAccessKey):
        return permit(self, resource)
    role = self.backend.get_role(self._access_key._owner_role_name)
    sessions = sts_backends[self.account_id]["aws"].assumed_roles
    session = next(one for one in sessions if one.access_key_id == self._access_key._access_key_id)
    now = datetime.datetime.now(datetime.timezone.utc)
    ends = session.expiration.replace(tzinfo=datetime.timezone.utc)
    if ends <= now:
        raise STSClientError("ExpiredToken", "The security token included in the request is expired")
    asked.context = {
        "aws:userid": f"{role.id}:{session.session_name}",
        "aws:TokenIssueTime": session.begun,
        "aws:CurrentTime": now,
    }
    permit(self, resource)
    within = session.policy is None or (
        IAMPolicy(session.policy).is_action_permitted(self._action, resource) == PermissionResult.PERMITTED
    )
    if not within and self._action != "sts:GetCallerIdentity":
        self._raise_access_denied()


IAMRequestBase.check_action_permitted = check_action_permitted

decide = IAMPolicyStatement.is_action_permitted


def is_action_permitted(self, action, *rest):
    conditions = self._statement.get("Condition")
    if conditions and "Principal" not in self._statement:
        if not holds(conditions, getattr(asked, "context", None) or {}):
            return PermissionResult.NEUTRAL
        self._statement = {name: part for name, part in self._statement.items() if name != "Condition"}
    return decide(self, action, *rest)


IAMPolicyStatement.is_action_permitted = is_action_permitted

if __name__ == "__main__":
    main()

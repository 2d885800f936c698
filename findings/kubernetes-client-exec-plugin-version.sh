#!/usr/bin/env bash
# kubernetes 37.0.1 (PyPI, the Python client): an exec plugin that answers with another API version than the kubeconfig names leaves the client without
# any credential, and loading the configuration succeeds.
#
# Expected: `load_kube_config` raises, as kubectl ends with an error, since no credential could be had.
# Seen: one line in the log ("plugin api version … does not match …"), no exception; the requests that follow carry no `Authorization` header at all. What the
#   program then meets is the API server's answer to an anonymous caller, far from the cause.
# Source: kubernetes/config/exec_provider.py and kube_config.py of the release (_load_from_exec_plugin logs whatever goes wrong). Way around: a plugin answers
#   with the version in KUBERNETES_EXEC_INFO, and whoever hands out plugins tests them with this client.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check kubernetes==37.0.1
cat >"$folder/try.py" <<'PY'
import http.server
import json
import os
import stat
import sys
import threading

from kubernetes import client, config

folder, headers = sys.argv[1], []


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        headers.append(self.headers.get("Authorization"))
        names = ("major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform")
        body = json.dumps(dict.fromkeys(names, "")).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()


def sent(version):
    plugin, path = f"{folder}/plugin", f"{folder}/config"
    answer = {"apiVersion": f"client.authentication.k8s.io/{version}", "kind": "ExecCredential", "status": {"token": "example"}}
    with open(plugin, "w") as file:
        file.write(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    os.chmod(plugin, stat.S_IRWXU)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": plugin, "interactiveMode": "Never"}}
    with open(path, "w") as file:
        json.dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "u", "user": user}],
        }, file)
    loaded = client.Configuration()
    config.load_kube_config(path, client_configuration=loaded)
    client.VersionApi(client.ApiClient(loaded)).get_code()
    return headers[-1]


same, other = sent("v1"), sent("v1beta1")
print(f"answered v1: {same}; answered v1beta1: {other}")
if same != "Bearer example":
    sys.exit("the plugin's token should be sent where the versions agree")
if other is not None:
    sys.exit("the behaviour changed: something is sent where the versions differ")
PY
"$folder/venv/bin/python" "$folder/try.py" "$folder"

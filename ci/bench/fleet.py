"""In: our pipes, the local AWS. Out: what one run with 500 functions, or 500 services, asks of the API each second.

Between them stands a proxy that answers as late as AWS does, counts, and refuses what is over the documented rates, as
token buckets of one second for Lambda (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 100 a
second for GetFunction, 15 for GetPolicy, 15 for all other calls of the control plane together) and with the documented
bursts for ECS (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html).
"""

import argparse
import collections
import http.client
import http.server
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid
import zipfile

from botocore.session import Session

LATENCY_SECONDS = 0.05
# Name, tokens a second, tokens at most.
RATES = {
    "GetFunction": (100, 100), "GetPolicy": (15, 15), "other Lambda": (15, 15),
    "service modify": (5, 50), "service read": (20, 100), "task definition modify": (1, 20), "task definition read": (20, 50),
    "other ECS": (20, 50),
}  # fmt: skip
ECS = {
    "UpdateService": "service modify", "DescribeServices": "service read", "ListServiceDeployments": "service read",
    "DescribeServiceDeployments": "service read", "DescribeServiceRevisions": "service read",
    "RegisterTaskDefinition": "task definition modify", "DescribeTaskDefinition": "task definition read",
}  # fmt: skip


def kind_of(method, path, headers):
    """The name of the call and the bucket that it takes from."""
    target = headers.get("x-amz-target", "")
    if "ContainerService" in target:
        name = target.rpartition(".")[2]
        return name, ECS.get(name, "other ECS")
    if path.startswith("/2015-03-31/functions/"):
        rest = urllib.parse.urlsplit(path).path.split("/")[4:]
        if method == "GET" and len(rest) == 0:
            return "GetFunction", "GetFunction"
        return f"{method} {'/'.join(rest[:1]) or 'function'}", "other Lambda"
    return None, None


class Buckets:
    """Full at the start."""

    def __init__(self):
        self.lock = threading.Lock()
        self.state = {}
        self.seconds = collections.defaultdict(collections.Counter)
        self.calls, self.refused = collections.Counter(), collections.Counter()

    def take(self, name, bucket):
        rate, most = RATES[bucket]
        now = time.monotonic()
        with self.lock:
            tokens, since = self.state.get(bucket, (most, now))
            tokens = min(most, tokens + (now - since) * rate)
            granted = tokens >= 1
            self.state[bucket] = (tokens - granted, now)
            self.calls[name] += 1
            self.refused[name] += not granted
            self.seconds[bucket][int(now)] += 1
        return granted


class Forward(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        name, bucket = kind_of(self.command, self.path, self.headers)
        if name:
            time.sleep(LATENCY_SECONDS)
            if not self.server.buckets.take(name, bucket):
                return self.refuse(name)
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        # The signature is for the host that the pipe sees.
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(key, value)
        self.end(content)

    def refuse(self, name):
        is_lambda = " " in name or name in ("GetFunction", "GetPolicy")
        self.send_response(429 if is_lambda else 400)
        kind = "TooManyRequestsException" if is_lambda else "ThrottlingException"
        self.send_header("x-amzn-errortype", kind)
        self.end(json.dumps({"__type": kind, "message": "Rate exceeded"}).encode())

    def end(self, content):
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

    def log_message(self, *_arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def run(binary, endpoint, variables, words):
    """One run behind a proxy of its own: its row."""
    server = Server(("127.0.0.1", 0), Forward)
    server.upstream, server.buckets = endpoint.removeprefix("http://"), Buckets()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = {
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "PATH": os.environ["PATH"],
    }  # fmt: skip
    start = time.monotonic()
    result = subprocess.run([binary], env=environment | variables, capture_output=True, text=True, timeout=1500)
    wall = time.monotonic() - start
    server.shutdown()
    lines = result.stdout.splitlines() or ["(nothing)"]
    done = result.returncode == 0 and words in result.stdout
    if not done:
        print(*lines[-12:], sep="\n", file=sys.stderr)
    buckets = server.buckets
    calls = ", ".join(f"{count:,} {name}" for name, count in buckets.calls.most_common())
    rates = ", ".join(
        f"{name} {max(seconds.values())} (allowed {RATES[name][0]}, at once {RATES[name][1]})"
        for name, seconds in sorted(buckets.seconds.items())
    )
    refused = sum(buckets.refused.values())
    return done, f"{wall:.1f} | {calls} | {rates} | {refused:,} | {'done' if done else '**failed**: ' + lines[-1]} |"


def archive():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as out:
        out.writestr("app.py", f"def handler(event, context):\n    return '{uuid.uuid4()}'\n")
    return data.getvalue()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lambda-deploy", required=True)
    parser.add_argument("--ecs-deploy", required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--only", choices=("functions", "services"))
    options = parser.parse_args()
    session = Session()
    session.set_credentials("test", "test")
    client = lambda name: session.create_client(name, region_name="us-east-1", endpoint_url=options.endpoint)
    prefix = f"fleet-{uuid.uuid4().hex[:8]}"
    names = [f"{prefix}-{number:03}" for number in range(options.count)]
    rows, good = [], True
    with tempfile.TemporaryDirectory() as scratch:
        if options.only != "services":
            functions, made = client("lambda"), []
            trust = {"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole",
            }]}  # fmt: skip
            role = client("iam").create_role(RoleName=prefix, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
            try:
                for name in names:
                    functions.create_function(
                        FunctionName=name, Runtime="python3.13", Handler="app.handler", Code={"ZipFile": archive()},
                        Role=role,
                    )  # fmt: skip
                    made.append(name)
                package = pathlib.Path(scratch) / "code.zip"
                package.write_bytes(archive())
                variables = {"FUNCTION_NAME": " ".join(names), "COMMAND": "update", "ZIP_FILE": str(package)}
                done, row = run(options.lambda_deploy, options.endpoint, variables, "")
                rows.append(f"| {options.count} functions, new code | {row}")
                good &= done
            finally:
                for name in made:
                    functions.delete_function(FunctionName=name)
                client("iam").delete_role(RoleName=prefix)
        if options.only != "functions":
            services, made = client("ecs"), []
            definition = {
                "family": prefix, "containerDefinitions": [{"name": "web", "image": "web:1", "memory": 128}],
            }  # fmt: skip
            services.create_cluster(clusterName=prefix)
            arn = services.register_task_definition(**definition)["taskDefinition"]["taskDefinitionArn"]
            try:
                for name in names:
                    services.create_service(cluster=prefix, serviceName=name, taskDefinition=arn, desiredCount=1)
                    made.append(name)
                variables = {
                    "CLUSTER_NAME": prefix, "SERVICE_NAME": " ".join(names), "IMAGE": "web:2", "WAIT": "true",
                    "WAIT_INTERVAL": "15",
                }  # fmt: skip
                done, row = run(options.ecs_deploy, options.endpoint, variables, "")
                rows.append(f"| {options.count} services, new image | {row}")
                good &= done
            finally:
                for name in made:
                    services.delete_service(cluster=prefix, service=name, force=True)
                services.delete_cluster(cluster=prefix)
    print("| run | wall s | calls | most calls in a second | refused for the rate | ended |")
    print("|---|---|---|---|---|---|")
    print(*rows, sep="\n")
    sys.exit(not good)


if __name__ == "__main__":
    main()

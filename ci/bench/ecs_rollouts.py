"""In: the pipe's binary, the AWS CLI, a number of rollouts. Out: a table of how late each of them sees the end.

A server of ECS's API plays rollouts of known lengths, one for each process that watches, by a clock of its own: tasks
come up one after another, and at a known moment the service is done. Both programs watch rollouts of the same lengths,
all at the same time, since watching is nearly all waiting.
"""

import argparse
import http.server
import json
import os
import pathlib
import random
import statistics
import subprocess
import threading
import time

TASKS = 4
PREFIX = "AmazonEC2ContainerServiceV20141113."
ARN = "arn:aws:ecs:eu-west-1:000000000000"
DEFINITION = f"{ARN}:task-definition/web:7"


class Rollout:
    """One service, whose rollout begins with an update, or for a program that only waits with its first look."""

    def __init__(self, name, seconds, seed, has_history):
        self.name, self.seconds = name, seconds
        self.lock = threading.Lock()
        self.begin = None
        self.calls = 0
        dice = random.Random(seed)
        # Half of the rollouts wait for their tasks, the others for health checks and the old tasks behind them.
        last = dice.uniform(0.35, 0.6) if dice.random() < 0.5 else dice.uniform(0.85, 0.97)
        # What the history of a service says of its rollouts: about as long, give or take. The first one has none.
        self.earlier = [seconds * dice.uniform(0.85, 1.15) for _ in range(4)] if has_history else []
        self.starts = sorted([last, *(dice.uniform(0.15, last) for _ in range(TASKS - 1))])

    def start(self):
        with self.lock:
            if self.begin is None:
                self.begin = time.monotonic()

    def done_at(self):
        return self.begin + self.seconds

    def deployment(self, ident, status, running, state):
        return {
            "id": f"ecs-svc/{ident}", "status": status, "taskDefinition": DEFINITION, "desiredCount": TASKS,
            "runningCount": running, "pendingCount": 0, "failedTasks": 0, "rolloutState": state,
            "createdAt": 1790000000.0, "updatedAt": 1790000000.0,
        }  # fmt: skip

    def service(self):
        old = self.deployment("1", "PRIMARY", TASKS, "COMPLETED")
        events = [{"id": "0", "createdAt": 1790000000.0, "message": f"(service {self.name}) has reached a steady state."}]
        deployments = [old]
        if self.begin is not None:
            share = (time.monotonic() - self.begin) / self.seconds
            running = sum(start <= share for start in self.starts)
            new = self.deployment("2", "PRIMARY", running, "COMPLETED" if share >= 1 else "IN_PROGRESS")
            old |= {"status": "ACTIVE", "runningCount": TASKS - running + (running > 0 and share < 0.99)}
            deployments = [new] if share >= 1 else [new, old]
            for number in range(running):
                text = f"(service {self.name}) has started 1 tasks: (task {number})."
                events.insert(0, {"id": f"start {number}", "createdAt": 1790000001.0, "message": text})
            if share >= 1:
                text = f"(service {self.name}) has reached a steady state."
                events.insert(0, {"id": "end", "createdAt": 1790000002.0, "message": text})
        return {
            "serviceName": self.name, "serviceArn": f"{ARN}:service/bench/{self.name}",
            "clusterArn": f"{ARN}:cluster/bench", "status": "ACTIVE", "desiredCount": TASKS, "pendingCount": 0,
            "runningCount": sum(each["runningCount"] for each in deployments), "taskDefinition": DEFINITION,
            "deployments": deployments, "events": events, "launchType": "FARGATE", "schedulingStrategy": "REPLICA",
            "deploymentController": {"type": "ECS"}, "loadBalancers": [], "tags": [],
        }  # fmt: skip

    def service_deployments(self):
        done = self.begin is not None and time.monotonic() >= self.done_at()
        known = [
            ("1" if number == 3 else f"{number + 10}", "SUCCESSFUL", 1780000000.0 + number * 10000, seconds)
            for number, seconds in enumerate(self.earlier)
        ]
        if self.begin is not None:
            known.append(("2", "SUCCESSFUL" if done else "IN_PROGRESS", 1790000000.0, None))
        service = f"{ARN}:service/bench/{self.name}"
        deployments = []
        for ident, status, start, seconds in reversed(known):
            deployments.append({
                "serviceDeploymentArn": f"{ARN}:service-deployment/bench/{self.name}/{ident}", "serviceArn": service,
                "clusterArn": f"{ARN}:cluster/bench", "status": status, "createdAt": start, "startedAt": start,
                "targetServiceRevisionArn": f"{ARN}:service-revision/bench/{self.name}/{ident}",
            })  # fmt: skip
            if seconds is not None:
                deployments[-1]["finishedAt"] = start + seconds
        return deployments

    def answer(self, operation, body):
        if operation == "UpdateService":
            self.start()
            return {"service": self.service()}
        with self.lock:
            # What is called before the update is no watching.
            self.calls += self.begin is not None
        if operation == "DescribeServices":
            return {"services": [self.service()], "failures": []}
        if operation == "ListServiceDeployments":
            return {"serviceDeployments": self.service_deployments()}
        if operation == "DescribeServiceDeployments":
            asked = body["serviceDeploymentArns"]
            found = [each for each in self.service_deployments() if each["serviceDeploymentArn"] in asked]
            return {"serviceDeployments": found, "failures": []}
        if operation == "DescribeTaskDefinition":
            container = {"name": "web", "image": "web:1", "essential": True}
            definition = {"taskDefinitionArn": DEFINITION, "family": "web", "revision": 7, "status": "ACTIVE"}
            return {"taskDefinition": definition | {"containerDefinitions": [container]}, "tags": []}
        if operation == "ListTasks":
            return {"taskArns": []}
        if operation == "DescribeTasks":
            return {"tasks": [], "failures": []}
        return None


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, rollouts):
        self.rollouts = rollouts
        self.unknown = set()
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        operation = self.headers.get("x-amz-target", "").removeprefix(PREFIX)
        # Each process has a key of its own, by which its calls are known.
        key = self.headers["authorization"].split("Credential=")[1].split("/")[0]
        rollout = self.server.rollouts[key]
        if key.startswith("aws"):
            rollout.start()
        answer = rollout.answer(operation, body)
        if answer is None:
            self.server.unknown.add(operation)
        text = json.dumps(answer or {"__type": "InvalidAction"}).encode()
        self.send_response(200 if answer else 400)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def command(program, options, service):
    if program == "aws":
        call = [options.aws, "ecs", "wait", "services-stable", "--cluster", "bench", "--services", service]
        return call, {}
    variables = {
        "CLUSTER_NAME": "bench", "SERVICE_NAME": service, "FORCE_NEW_DEPLOYMENT": "true", "WAIT": "true",
    }  # fmt: skip
    return [options.pipe], variables


def watch(program, options, server, rollout, key, results):
    call, variables = command(program, options, rollout.name)
    environment = variables | {
        "PATH": os.environ["PATH"], "HOME": str(options.scratch), "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}",
    }  # fmt: skip
    log = options.scratch / f"{key}.log"
    with log.open("w") as out:
        code = subprocess.run(call, env=environment, stdout=out, stderr=out, timeout=900, check=False).returncode
    end = time.monotonic()
    if code != 0 or rollout.begin is None:
        raise SystemExit(f"{key} ended with {code}:\n{log.read_text()}")
    if end < rollout.done_at():
        raise SystemExit(f"{key} ended {rollout.done_at() - end:.1f} s before the service was done")
    minutes = (end - rollout.begin) / 60
    results.append((end - rollout.done_at(), rollout.calls, minutes))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipe", required=True)
    parser.add_argument("--aws", required=True)
    parser.add_argument("--rollouts", type=int, default=16)
    parser.add_argument("--shortest", type=float, default=40)
    parser.add_argument("--longest", type=float, default=180)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scratch", type=pathlib.Path, required=True)
    options = parser.parse_args()

    dice = random.Random(options.seed)
    lengths = [dice.uniform(options.shortest, options.longest) for _ in range(options.rollouts)]
    programs = ("ours", "first", "aws")
    rollouts = {
        f"{program}{index}": Rollout(f"web-{program}-{index}", seconds, index, program != "first")
        for program in programs
        for index, seconds in enumerate(lengths)
    }
    server = Server(rollouts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    results = {program: [] for program in programs}
    faults = []

    def guarded(*arguments):
        try:
            watch(*arguments)
        except (SystemExit, OSError, subprocess.SubprocessError) as fault:
            faults.append(str(fault))

    threads = []
    for index in range(options.rollouts):
        for program in programs:
            key = f"{program}{index}"
            arguments = (program, options, server, rollouts[key], key, results[program])
            threads.append(threading.Thread(target=guarded, args=arguments))
            threads[-1].start()
            # The starts of many Python programs at once would be measured, not the waiting.
            time.sleep(0.5)
    for thread in threads:
        thread.join()
    server.shutdown()
    if server.unknown:
        faults.append(f"the server does not know {', '.join(sorted(server.unknown))}")
    if faults:
        raise SystemExit("\n".join(faults))
    print(f"{options.rollouts} rollouts of {min(lengths):.0f} to {max(lengths):.0f} s each")
    print(f"{'program':30} {'median':>8} {'p90':>8} {'longest':>8} {'calls a minute':>15}")
    rates = {}
    names = ("ecs-deploy", "ecs-deploy, first deployment", "aws ecs wait services-stable")
    for program, name in zip(programs, names, strict=True):
        delays = sorted(delay for delay, _, _ in results[program])
        calls = sum(calls for _, calls, _ in results[program])
        rates[program] = calls / sum(minutes for _, _, minutes in results[program])
        p90 = delays[min(len(delays) - 1, int(len(delays) * 0.9))]
        print(
            f"{name:30} {statistics.median(delays):7.2f}s {p90:7.2f}s {delays[-1]:7.2f}s {rates[program]:15.2f}"
        )
    for program, name in zip(programs[:2], names, strict=False):
        print(f"calls of {name} to theirs: {rates[program] / rates['aws']:.2f}")


if __name__ == "__main__":
    main()

"""All pipes as `- pipe:` entries of a pipeline that bitbucket-pipeline-runner executes, a client that nobody here wrote.

It runs the step in a container with a docker daemon beside it, as the platform does. The local AWS is in a container too,
at its address on the engine's bridge, which nothing outside of this run reaches.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.request

from account import Account
from image import PIPES, ROOT, VERSION, Image, docker

HELPERS = [
    "alpine",
    "alpine/git",
    "k8s-docker.packages.atlassian.com/pause:3.8",
    "docker-public.packages.atlassian.com/sox/atlassian/bitbucket-pipelines-docker-daemon:v25.0.5-tlsfalse-prod-stable",
]
FOLDER = ROOT / "ci" / "images" / "runner"
#: What the step prints before any pipe runs, if it cannot reach the local AWS.
UNREACHED = "the step does not reach the local AWS"
#: How many local AWS, each at another address, are tried for a step that reaches one.
PLACES = 3
NAMES = ["s3-deploy", "ecs-deploy", "lambda-deploy", "oidc-migrate"]


@unittest.skipUnless(set(NAMES) <= set(PIPES), "not all of its pipes are among the images")
class Runner(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="runner-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.addCleanup(forget_caches)
        subprocess.run([ROOT / "ci/base-images.sh", "python:3.11-slim-bookworm", *HELPERS], check=True)

    def project(self) -> pathlib.Path:
        """A repository with the pipeline, since the runner clones what is committed."""
        project = self.folder / "sample project"
        project.mkdir()
        text = (FOLDER / "bitbucket-pipelines.yml").read_text().replace(":VERSION", f":{VERSION}")
        (project / "bitbucket-pipelines.yml").write_text(text)
        git = ["git", "-C", project, "-c", "user.name=sample", "-c", "user.email=sample@example.test"]
        for command in (["init", "--quiet", "--initial-branch=main"], ["add", "--all"], ["commit", "--quiet", "--message=A pipeline"]):
            subprocess.run([*git, *command], check=True)
        return project

    def test_a_pipeline_with_every_pipe(self):
        images = self.folder / "images.tar"
        docker("save", "--output", str(images), *(Image(name).name for name in NAMES))
        project = self.project()
        with contextlib.ExitStack() as running:
            for _ in range(PLACES):
                aws = running.enter_context(local_aws())
                account = Account(aws.endpoint)
                account.service()
                account.function()
                text = self.run_pipeline("custom.deploy", project, account, f"{images}:/images.tar:ro")
                # No pipe has run then; those that stay running keep the next one from getting the same address.
                if UNREACHED not in text.splitlines():
                    break
                print(f"{UNREACHED}\n{aws.state()}\n{end_of_step(text)}")

            if "Pipeline 'custom.deploy': Successful" not in text:
                self.fail(f"the step ended with:\n{end_of_step(text)}\n\nthe local AWS:\n{aws.state()}")
            self.assertEqual(account.keys(), ["docs/assets/mit Leerzeichen.css", "docs/index.html"])
            container = account.container()
            self.assertRegex(container["image"], "^web:[1-9][0-9]*$")
            environment = {each["name"]: each["value"] for each in container["environment"]}
            self.assertEqual(environment, {"GREETING": "hello"})
            self.assertEqual(account.live_version(), "2")
            self.assertEqual(text.count("(OIDC, until "), 3)
            self.assertIn("✔ no step uses AWS access keys", text)
            token = account.step["BITBUCKET_STEP_OIDC_TOKEN"]
            self.assertNotIn(token, text.replace(f"BITBUCKET_STEP_OIDC_TOKEN={token}", ""))

    def run_pipeline(self, name: str, project: pathlib.Path, account: Account, volume: str) -> str:
        """All that the runner printed; its exit code says nothing."""
        variables = account.step | {"NAME": account.name}
        del variables["BITBUCKET_BUILD_NUMBER"]
        (self.folder / "step.env").write_text("".join(f"{name}='{value}'\n" for name, value in variables.items()))
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        command = [ROOT / "target/tools/bin/pipeline-runner", "run", name, "--no-color", f"--repository-path={project}",
                   f"--env-file={self.folder / 'step.env'}", f"--volume={volume}"]  # fmt: skip
        environment = {name: os.environ[name] for name in ("PATH", "DOCKER_HOST") if name in os.environ}
        environment |= {"HOME": str(home), "NO_COLOR": "1", "USER": "sample"}
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, timeout=300)
        text = done.stdout.decode(errors="replace")
        if "Successful" not in text:
            print(text)
        return text


def end_of_step(text: str) -> str:
    """The last lines before the runner took its containers down."""
    return "\n".join(text.partition("Executing teardown")[0].splitlines()[-40:])


def forget_caches() -> None:
    """The runner keeps the images of a step's daemon in a volume for the next time, which never comes."""
    caches = docker("volume", "ls", "--quiet", "--filter=name=sample-project", "--filter=label=org.acidrain.pipeline_runner.project").text.split()
    if caches:
        docker("volume", "rm", *caches)


@dataclasses.dataclass
class LocalAws:
    """The local AWS in a container, at its address on the engine's bridge."""

    container: str
    endpoint: str

    def state(self) -> str:
        """All that may tell why it was not reached."""
        shown = "{{.Name}} {{.State.Status}} {{.State.ExitCode}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        every = docker("ps", "--all", "--quiet").text.split()
        return docker("inspect", f"--format={shown}", *every).text + docker("logs", "--tail=20", self.container).text


@contextlib.contextmanager
def local_aws():
    """Gives one that answers. It is not `--rm`: of one that ended by itself the end can still be read."""
    name = f"images-aws-{os.getpid()}-{time.time_ns()}"
    with tempfile.TemporaryDirectory() as context:
        for file in (FOLDER / "Dockerfile", ROOT / "ci" / "local-aws.lock"):
            shutil.copy(file, context)
        docker_build(context)
    docker("run", "--detach", f"--name={name}", "images-aws")
    try:
        networks = json.loads(docker("inspect", "--format={{json .NetworkSettings.Networks}}", name).text)
        endpoint = f"http://{networks['bridge']['IPAddress']}:4566"
        wait_for(endpoint, name)
        yield LocalAws(name, endpoint)
    finally:
        docker("rm", "--force", name)


def docker_build(context: str) -> None:
    subprocess.run(["docker", "build", "--quiet", "--target=aws", "--tag=images-aws", context], check=True, stdout=subprocess.DEVNULL)


def wait_for(endpoint: str, container: str) -> None:
    give_up = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=5)
            return
        except OSError:
            if time.monotonic() > give_up:
                raise AssertionError(docker("logs", container).text) from None
            time.sleep(0.2)


if __name__ == "__main__":
    unittest.main()

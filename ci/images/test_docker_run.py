"""`docker run` as a user would: each test is a way of running the images, against the local AWS, that has to work."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
import zipfile

from account import Account, handler
from image import Image, PIPES, docker
from servers import port, refusing

OWNER = 1234
S3 = Image("s3-deploy")


@unittest.skipUnless("s3-deploy" in PIPES, "s3-deploy is not among the images")
class DockerRun(unittest.TestCase):
    def setUp(self):
        self.account = Account.shared()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="images-"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder)
        self.prefix = f"{self._testMethodName}"

    def checkout(self, name: str = "checkout") -> pathlib.Path:
        """A checkout with a site in `dist`, whose files are of another user than the container's."""
        root = self.folder / name
        (root / "dist").mkdir(parents=True)
        (root / "dist" / "index.html").write_text("<h1>it works</h1>")
        # Without root they are of this user, who is another one too.
        for path in [root, *root.rglob("*")] if os.geteuid() == 0 else []:
            os.chown(path, OWNER, OWNER)
        return root

    def variables(self, **more: str) -> dict[str, str]:
        return self.account.step | {"S3_BUCKET": f"{self.account.name}/{self.prefix}", "LOCAL_PATH": "dist"} | more

    def deploys(self, *options: str, **more: str) -> str:
        """Runs s3-deploy, and sees that the site is there and no secret in what was printed."""
        text = S3.run(options=options, environment=self.variables(**more)).text
        self.assertIn("✔ Deployment successful: uploaded 1, deleted 0, unchanged 0", text)
        self.assertIn(f"{self.prefix}/index.html", self.account.keys())
        self.assert_no_secret(text)
        return text

    def assert_no_secret(self, text: str) -> None:
        self.assertNotIn(self.account.step["BITBUCKET_STEP_OIDC_TOKEN"], text)
        self.assertNotIn(self.account.step["BITBUCKET_STEP_OIDC_TOKEN"].split(".")[2], text)

    def mount(self, path: pathlib.Path, *, at: str | None = None, mode: str = "ro") -> tuple[str, ...]:
        at = at or str(path)
        return (f"--volume={path}:{at}:{mode}", f"--workdir={at}")

    def test_variables_one_by_one(self):
        self.deploys(*self.mount(self.checkout()))

    def test_variables_of_a_file(self):
        root = self.checkout()
        file = self.folder / "step.env"
        file.write_text("".join(f"{name}={value}\n" for name, value in self.variables().items()))
        text = docker("run", "--rm", "--network=host", f"--env-file={file}", *self.mount(root), S3.name).text
        self.assertIn("✔ Deployment successful: uploaded 1", text)
        self.assert_no_secret(text)

    def test_a_path_with_blanks_and_letters_of_other_languages(self):
        self.deploys(*self.mount(self.checkout("Übung mit Leerzeichen 日本")))

    def test_another_user_than_root(self):
        self.deploys("--user=4321:4321", *self.mount(self.checkout()))

    def test_nothing_that_can_be_written_and_no_capability(self):
        self.deploys("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", *self.mount(self.checkout()))

    def test_all_restrictions_at_once_with_results_for_later_steps(self):
        results = self.folder / "results"
        results.mkdir()
        results.chmod(0o777)
        text = self.deploys(
            "--user=4321:4321", "--read-only", "--cap-drop=ALL", f"--volume={results}:/results", *self.mount(self.checkout()),
            BITBUCKET_PIPE_STORAGE_DIR="/results", BITBUCKET_PIPELINES_VARIABLES_PATH="/results/variables", DEBUG="true",
        )  # fmt: skip
        written = (results / "report.json").read_text() + (results / "variables").read_text()
        self.assertIn("S3_DEPLOY_UPLOADED=1", written)
        self.assert_no_secret(text + written)

    def test_exit_codes(self):
        mount = self.mount(self.checkout())
        self.assertIn("✖", S3.run(options=mount, environment=self.variables(LOCAL_PATH="nowhere"), code=1).text)
        self.assertIn("✖", S3.run(options=mount, environment=self.variables(S3_BUCKET=""), code=1).text)
        refused = S3.run(options=mount, environment=self.variables(BITBUCKET_STEP_OIDC_TOKEN="a.b.c"), code=1)
        self.assertIn("nothing was changed", refused.text)
        self.assertIn("✖", S3.run("deploy", options=mount, code=1).text)

    def test_stop_ends_it_at_once_with_its_report(self):
        """A server that never answers, and SIGTERM to process 1, for which the kernel has no default action."""
        with refusing() as server:
            arrived, release = threading.Event(), threading.Event()
            self.addCleanup(release.set)

            class Silent(server.RequestHandlerClass):
                def answer(self, status, body):
                    arrived.set()
                    release.wait(30)

            server.RequestHandlerClass = Silent
            name = f"images-stop-{os.getpid()}"
            environment = self.variables(AWS_ENDPOINT_URL=f"http://127.0.0.1:{port(server)}")
            options = ("--detach", f"--name={name}", "--network=host", *self.mount(self.checkout()))
            docker("run", *options, *(f"--env={key}={value}" for key, value in environment.items()), S3.name)
            self.addCleanup(docker, "rm", "--force", name)
            self.assertTrue(arrived.wait(20), docker("logs", name).text)
            begin = time.monotonic()
            docker("stop", "--time=10", name)
            seconds = time.monotonic() - begin
            text = docker("logs", name).text
            self.assertIn("✖ interrupted by SIGTERM", text)
            self.assertIn("nothing was changed", text)
            self.assertLess(seconds, 2)
            self.assertEqual(docker("inspect", "--format={{.State.ExitCode}}", name).text.strip(), "1")
            release.set()

    @unittest.skipUnless("ecs-deploy" in PIPES, "ecs-deploy is not among the images")
    def test_ecs_deploy(self):
        self.account.service()
        environment = self.account.step | {"CLUSTER_NAME": self.account.name, "SERVICE_NAME": "web", "IMAGE": "web:2"}
        options = ("--user=4321", "--read-only", "--cap-drop=ALL")
        text = Image("ecs-deploy").run(options=options, environment=environment).text
        self.assertIn("✔", text)
        self.assertEqual(self.account.container()["image"], "web:2")
        self.assert_no_secret(text)

    @unittest.skipUnless("lambda-deploy" in PIPES, "lambda-deploy is not among the images")
    def test_lambda_deploy(self):
        self.account.function()
        root = self.checkout()
        with zipfile.ZipFile(root / "code.zip", "w") as file:
            file.writestr("app.py", handler("second"))
        options = ("--user=4321", "--read-only", "--cap-drop=ALL", *self.mount(root))
        environment = self.account.step | {"FUNCTION_NAME": self.account.name, "COMMAND": "deploy", "ZIP_FILE": "code.zip", "ALIAS": "live"}
        text = Image("lambda-deploy").run(options=options, environment=environment).text
        self.assertIn("✔", text)
        self.assertEqual(self.account.live_version(), "2")
        self.assert_no_secret(text)


if __name__ == "__main__":
    unittest.main()

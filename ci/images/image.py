"""What the tests of the images share: the image of a pipe, `docker run` as a user would call it, and servers on loopback.

`ci/image.sh` names the images by its environment: IMAGE_PIPES, IMAGE_VERSION.
"""

import dataclasses
import io
import json
import os
import pathlib
import re
import subprocess
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PIPES = os.environ["IMAGE_PIPES"].split()
VERSION = os.environ["IMAGE_VERSION"]


@dataclasses.dataclass
class Run:
    """What a run left: exit code and all that it printed."""

    code: int
    text: str


def docker(*arguments: str, code: int | None = 0) -> Run:
    """Calls the client; any other exit code than `code` is an error that shows what was printed."""
    done = subprocess.run(["docker", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=120)
    text = done.stdout.decode(errors="replace")
    if code is not None and done.returncode != code:
        raise AssertionError(f"docker {' '.join(arguments)}\nexit code {done.returncode}, not {code}:\n{text}")
    return Run(done.returncode, text)


@dataclasses.dataclass
class Image:
    """The image of one pipe."""

    pipe: str

    @property
    def name(self) -> str:
        return f"keylesspipes/{self.pipe}:{VERSION}"

    def run(self, *arguments: str, code: int | None = 0, options: tuple[str, ...] = (), environment: dict[str, str] | None = None) -> Run:
        """Runs it on the host's network, where the servers of a test listen on loopback; without variables on none."""
        variables = [f"--env={name}={value}" for name, value in (environment or {}).items()]
        network = "--network=host" if environment else "--network=none"
        return docker("run", "--rm", network, *variables, *options, self.name, *arguments, code=code)

    def configuration(self) -> dict:
        return json.loads(docker("image", "inspect", "--format", "{{json .Config}}", self.name).text)

    def layers(self) -> list[bytes]:
        """The layers, each as a tar archive."""
        with tempfile.TemporaryFile() as file:
            subprocess.run(["docker", "save", self.name], stdout=file, check=True)
            file.seek(0)
            with tarfile.open(fileobj=file) as archive:
                manifest = json.load(archive.extractfile("manifest.json"))
                return [archive.extractfile(name).read() for name in manifest[0]["Layers"]]

    def files(self) -> dict[str, tarfile.TarInfo]:
        """Every file of every layer, without folders."""
        found = {}
        for layer in self.layers():
            with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
                found |= {f"/{member.name}": member for member in archive if not member.isdir()}
        return found

    def binary(self, folder: str) -> str:
        """Copies the program out of the image, to be run without the engine's share of the time."""
        container = docker("create", self.name).text.strip()
        try:
            path = os.path.join(folder, self.pipe)
            docker("cp", f"{container}:/pipe", path)
            return path
        finally:
            docker("rm", container)

    def readme(self) -> str:
        return (ROOT / "pipes" / self.pipe / "README.md").read_text()

    def variables(self) -> list[str]:
        """The names in the README's tables of variables."""
        section = re.search(r"^## Variables$(.*?)^## ", self.readme(), re.DOTALL | re.MULTILINE)
        return re.findall(r"^\| `([A-Z0-9_]+)`", section[1], re.MULTILINE)


IMAGES = [Image(pipe) for pipe in PIPES]

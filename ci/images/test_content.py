"""What is in an image: one static program, its metadata, the certificates of public authorities, and nothing else."""

import gzip
import json
import os
import re
import struct
import subprocess
import tempfile
import tomllib
import unittest
import zlib

from image import IMAGES, ROOT, VERSION, docker

CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
COMPRESSED_LIMIT = 4_500_000
INTERPRETER = 3


def sections(program: bytes) -> dict[str, bytes]:
    """The sections of a 64-bit ELF file by name."""
    offset = struct.unpack_from("<Q", program, 0x28)[0]
    size, count, names_at = struct.unpack_from("<HHH", program, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", program, offset + index * size) for index in range(count)]
    names = headers[names_at]
    text = program[names[4] : names[4] + names[5]]
    return {text[header[0] : text.index(b"\0", header[0])].decode(): program[header[4] : header[4] + header[5]] for header in headers}


def segment_types(program: bytes) -> list[int]:
    offset = struct.unpack_from("<Q", program, 0x20)[0]
    size, count = struct.unpack_from("<HH", program, 0x36)
    return [struct.unpack_from("<I", program, offset + index * size)[0] for index in range(count)]


class Content(unittest.TestCase):
    def test_three_files_and_nothing_else(self):
        for image in IMAGES:
            with self.subTest(image.pipe):
                files = image.files()
                self.assertEqual(sorted(files), [CERTIFICATES, "/pipe", "/pipe.yml"])
                modes = {name: oct(file.mode & 0o777) for name, file in files.items()}
                self.assertEqual(modes, {CERTIFICATES: "0o644", "/pipe": "0o755", "/pipe.yml": "0o644"})

    def test_the_compressed_size(self):
        for image in IMAGES:
            with self.subTest(image.pipe):
                size = sum(len(gzip.compress(layer, 6)) for layer in image.layers())
                print(f"{image.pipe}: {size / 1e6:.2f} MB compressed, {sum(map(len, image.layers())) / 1e6:.2f} MB unpacked")
                self.assertLessEqual(size, COMPRESSED_LIMIT)

    def test_entry_point_and_labels(self):
        revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
        for image in IMAGES:
            with self.subTest(image.pipe):
                configuration = image.configuration()
                self.assertEqual(configuration["Entrypoint"], ["/pipe"])
                self.assertIn(f"SSL_CERT_FILE={CERTIFICATES}", configuration["Env"])
                labels = {name.removeprefix("org.opencontainers.image."): value for name, value in configuration["Labels"].items()}
                self.assertEqual(
                    labels,
                    {
                        "title": image.pipe,
                        "source": f"https://bitbucket.org/keylesspipes/{image.pipe}",
                        "version": VERSION,
                        "revision": labels["revision"],
                        "licenses": "Apache-2.0",
                    },
                )
                # A build of changed files says so.
                self.assertIn(labels["revision"], (revision, f"{revision}-dirty"))

    def test_version_and_help_need_no_environment(self):
        for image in IMAGES:
            with self.subTest(image.pipe):
                run = image.run("--version")
                self.assertEqual(run.text, f"{image.pipe} {VERSION}\n")
                text = image.run("--help").text
                missing = [name for name in image.variables() if not re.search(rf"^  {name}\b", text, re.MULTILINE)]
                self.assertEqual(missing, [])
                self.assertGreater(len(image.variables()), 10)

    def test_an_empty_environment_is_refused_with_all_that_is_missing(self):
        for image in IMAGES:
            with self.subTest(image.pipe):
                self.assertIn("✖", image.run(code=1).text)

    def test_the_program_is_static_and_lists_its_crates(self):
        for image in IMAGES:
            with self.subTest(image.pipe), tempfile.TemporaryDirectory() as folder:
                path = image.binary(folder)
                with open(path, "rb") as file:
                    program = file.read()
                self.assertNotIn(INTERPRETER, segment_types(program))
                listed = json.loads(zlib.decompress(sections(program)[".dep-v0"]))["packages"]
                # All pipes are built at once, with the features that any of them asks for: a crate or two more than
                # `cargo tree` names for one pipe alone can be in its list, but none is missing and none is from elsewhere.
                runs = {(each["name"], each["version"]) for each in listed if each.get("kind") != "build"}
                listed = {(each["name"], each["version"]) for each in listed}
                self.assertEqual(crates(image.pipe) - listed, set())
                # The keys of the tests are made by it; a program has one implementation of the ciphers of TLS.
                self.assertNotIn("aws-lc-rs", {name for name, _ in crates(image.pipe)})
                self.assertEqual(listed - locked(), set())
                # Scanners leave out what was needed for the build alone.
                self.assertEqual(scanned(path), runs)
                self.assertNotIn(os.path.expanduser("~").encode(), program)


def crates(pipe: str) -> set[tuple[str, str]]:
    """What `cargo tree` says the program is made of, on this kind of machine."""
    command = ["cargo", "tree", "--locked", "--package", pipe, "--edges", "normal,build", "--prefix", "none", "--format", "{p}"]
    tree = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {(line.split()[0], line.split()[1].removeprefix("v")) for line in tree.splitlines() if line}


def locked() -> set[tuple[str, str]]:
    """Every crate of Cargo.lock."""
    with open(os.path.join(ROOT, "Cargo.lock"), "rb") as file:
        return {(each["name"], each["version"]) for each in tomllib.load(file)["package"]}


def scanned(path: str) -> set[tuple[str, str]]:
    """The crates that a foreign scanner reads from the program."""
    environment = os.environ | {"SYFT_CHECK_FOR_APP_UPDATE": "false"}
    command = [ROOT / "target/tools/bin/syft", "scan", f"file:{path}", "--quiet", "--output", "cyclonedx-json"]
    document = json.loads(subprocess.run(command, capture_output=True, check=True, env=environment).stdout)
    return {(each["name"], each["version"]) for each in document["components"] if each["type"] == "library"}


if __name__ == "__main__":
    unittest.main()

"""The way out of the container: a static program still resolves names, obeys proxies and trusts what it is told to."""

import os
import pathlib
import subprocess
import tempfile
import unittest

from account import Account
from image import IMAGES, Image
from servers import port, refusing, resolver
from settings import SETTINGS, first_request

HOST = "aws.example.test"
RESOLVER = "127.0.0.77"


def run(image: Image, token: str, endpoint: str, *options: str, **variables: str) -> str:
    """Lets the pipe make its first request, which is for credentials; it never succeeds."""
    environment = first_request(image.pipe, endpoint, token) | variables
    return image.run(code=1, options=options, environment=environment).text


class Network(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.token = Account.shared().step["BITBUCKET_STEP_OIDC_TOKEN"]

    def each(self):
        for image in IMAGES:
            if image.pipe in SETTINGS:
                with self.subTest(image.pipe):
                    yield image

    def test_names_of_the_hosts_file(self):
        for image in self.each():
            with refusing() as aws:
                text = run(image, self.token, f"http://{HOST}:{port(aws)}", f"--add-host={HOST}:127.0.0.1")
                self.assertEqual(aws.seen, [f"POST {HOST}:{port(aws)} /"], text)
                self.assertIn("AccessDenied", text)

    @unittest.skipUnless(os.geteuid() == 0, "only root may listen on port 53")
    def test_names_of_the_resolver_in_resolv_conf(self):
        for image in self.each():
            with refusing() as aws, resolver(RESOLVER) as names:
                text = run(image, self.token, f"http://{HOST}:{port(aws)}", f"--dns={RESOLVER}")
                self.assertIn(HOST, names.seen, text)
                self.assertEqual(aws.seen, [f"POST {HOST}:{port(aws)} /"], text)

    def test_proxies(self):
        for image in self.each():
            with refusing() as proxy, refusing() as aws:
                through = {"HTTPS_PROXY": f"http://127.0.0.1:{port(proxy)}", "HTTP_PROXY": f"http://127.0.0.1:{port(proxy)}"}
                run(image, self.token, f"https://{HOST}:8443", **through)
                self.assertEqual([line.split()[0] for line in proxy.seen], ["CONNECT"])
                self.assertIn(f"{HOST}:8443", proxy.seen[0])
                proxy.seen.clear()
                options = (f"--add-host={HOST}:127.0.0.1",)
                run(image, self.token, f"http://{HOST}:{port(aws)}", *options, NO_PROXY="example.test", **through)
                self.assertEqual((proxy.seen, len(aws.seen)), ([], 1))

    def test_certificates_of_a_private_authority(self):
        with tempfile.TemporaryDirectory() as folder:
            authority, certificate = private_authority(pathlib.Path(folder))
            mount, host = f"--volume={authority}:/authority.pem:ro", f"--add-host={HOST}:127.0.0.1"
            for image in self.each():
                with refusing(certificate) as aws:
                    endpoint = f"https://{HOST}:{port(aws)}"
                    for variable in ("AWS_CA_BUNDLE", "SSL_CERT_FILE"):
                        aws.seen.clear()
                        text = run(image, self.token, endpoint, mount, host, **{variable: "/authority.pem"})
                        self.assertEqual(len(aws.seen), 1, f"{variable}: {text}")
                    aws.seen.clear()
                    text = run(image, self.token, endpoint, mount, host)
                    self.assertEqual(aws.seen, [], text)
                    self.assertIn("certificate", text)


def private_authority(folder: pathlib.Path) -> tuple[pathlib.Path, tuple[str, str]]:
    """The certificate of an authority that no bundle has, and one for HOST by it, with its key."""
    path = lambda name: str(folder / name)
    openssl = lambda *arguments: subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl(*new, "-x509", "-subj", "/CN=A private authority", "-keyout", path("ca.key"), "-out", path("ca.pem"))
    openssl(*new, "-x509", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-keyout", path("key.pem"), "-out", path("certificate.pem"))
    return folder / "ca.pem", (path("certificate.pem"), path("key.pem"))


if __name__ == "__main__":
    unittest.main()

"""In: the path of our pipe. Out: its peak memory for a million files of which the bucket holds every one already.

The tree is a million names of a hundred files, in memory; the bucket is a listing that is made as it is asked for. What is
measured is the walk, the listing, the join and the hashing: `python3 ci/bench/million.py target/release/s3-deploy`
It needs 2 GiB of memory and takes about a minute.
"""

import bisect
import hashlib
import http.server
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import urllib.parse

COUNT, PAGE, DIRECTORIES = 1_000_000, 1000, 1000
CONTENT = b"x"
ETAG = hashlib.md5(CONTENT).hexdigest()
KEYS = sorted(f"assets/{number % DIRECTORIES:04}/picture-{number:07}.png" for number in range(COUNT))
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def make(root):
    originals = []
    for number in range(COUNT // 10_000):
        original = root / f"original-{number}"
        original.write_bytes(CONTENT)
        originals.append(original)
    tree = root / "tree"
    for directory in {os.path.dirname(key) for key in KEYS}:
        (tree / directory).mkdir(parents=True)
    for number, key in enumerate(KEYS):
        os.link(originals[number // 10_000], tree / key)
    return tree


class Listing(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        if query.get("list-type") != "2":
            return self.answer(404, "<Error><Code>NoSuchKey</Code></Error>")
        after = query.get("continuation-token") or query.get("start-after") or ""
        start = bisect.bisect_right(KEYS, after)
        page = KEYS[start : start + PAGE]
        more = start + PAGE < COUNT
        token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if more else ""
        contents = "".join(
            f'<Contents><Key>{key}</Key><Size>{len(CONTENT)}</Size><ETag>"{ETAG}"</ETag></Contents>' for key in page
        )
        truncated = str(more).lower()
        return self.answer(
            200, f'<ListBucketResult xmlns="{NAMESPACE}"><IsTruncated>{truncated}</IsTruncated>{token}{contents}</ListBucketResult>'
        )

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.answer(200, "")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        tree = make(pathlib.Path(scratch))
        variables = {
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
            "S3_BUCKET": "bench",
            "LOCAL_PATH": str(tree),
            "DELETE_FLAG": "true",
        } | dict(pair.split("=", 1) for pair in sys.argv[2:])
        log = f"{scratch}/log"
        measure = [sys.executable, "-I", "-S", str(pathlib.Path(__file__).with_name("measure.py"))]
        result = subprocess.run([*measure, "600", log, str(binary)], env=variables, stdout=subprocess.PIPE, check=True)
        result = json.loads(result.stdout)
        last = pathlib.Path(log).read_text().splitlines()[-1]
        print(last)
        print(f"{result['memory'] / 1e6:.0f} MB at most, {result['wall']:.1f} s, {result['processor']:.1f} CPU s")
        if result["exit"] != 0 or f"unchanged {COUNT}" not in last:
            sys.exit(1)


if __name__ == "__main__":
    main()

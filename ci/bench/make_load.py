"""In: names of loads and a directory. Out: their trees, and beside each tree its listing as `key<TAB>md5<TAB>size`.

Everything follows from a seed, so that figures of two days belong to the same bytes. A tree that is there already is
kept. Times are no part of a load: the runner sets them to what a fresh checkout has.
"""

import hashlib
import math
import os
import pathlib
import random
import shutil
import sys

SEED = 20_260_801
# Changed whenever a load changes, so that older trees are made anew.
VERSION = "1"
EXTENSIONS = [".html", ".js", ".css", ".json", ".svg", ".png", ".jpg", ".woff2", ".txt", ".map"]
SITE_FILES, SITE_BYTES, SITE_DIRECTORIES = 10_000, 150_100_000, 1_574
# B is A again with other times, and D-no-md5 is D for another server.
TREES = {"A": "A", "B": "A", "C": "C", "D": "D", "D-no-md5": "D", "E": "E", "T": "T"}


def site_sizes(rng):
    """Log-normal with a median of 8 KiB; the few largest are what brings the sum to 150 MB."""
    low, high = 0.1, 3.0
    normal = [rng.gauss(0, 1) for _ in range(SITE_FILES)]
    for _ in range(60):
        sigma = (low + high) / 2
        sizes = [int(8192 * math.exp(sigma * value)) + 1 for value in normal]
        low, high = (sigma, high) if sum(sizes) < SITE_BYTES else (low, sigma)
    return sizes


def site_directories(rng):
    directories = [""]
    while len(directories) < SITE_DIRECTORIES:
        parent = rng.choice(directories)
        if parent.count("/") < 6:
            directories.append(f"{parent}{rng.choice(['page', 'assets', 'img', 'docs', 'blog'])}-{len(directories)}/")
    return directories


def site():
    """Every directory holds a file, as git keeps no empty ones."""
    rng = random.Random(SEED)
    directories = site_directories(rng)
    for index, size in enumerate(site_sizes(rng)):
        directory = directories[index] if index < len(directories) else rng.choice(directories)
        yield f"{directory}file-{index}{rng.choice(EXTENSIONS)}", rng.randbytes(size)


def changed_site():
    """1 % changed, half of it at the same size, and another 1 % deleted."""
    rng = random.Random(SEED + 1)
    touched = rng.sample(range(SITE_FILES), SITE_FILES // 50)
    deleted, same_size, other_size = set(touched[:100]), set(touched[100:150]), set(touched[150:])
    for index, (key, content) in enumerate(site()):
        if index in deleted:
            continue
        if index in same_size:
            content = bytes([content[0] ^ 1]) + content[1:]
        if index in other_size:
            content += rng.randbytes(17)
        yield key, content


def many_small():
    rng = random.Random(SEED + 2)
    for index in range(100_000):
        yield f"{index % 1000:03}/{index}.json", rng.randbytes(1024)


def tiny_site():
    rng = random.Random(SEED + 3)
    for index in range(20):
        yield f"{'assets/' if index % 2 else ''}file-{index}{EXTENSIONS[index % 10]}", rng.randbytes(4096)


def write_tree(tree, files):
    lines, made = [], set()
    for key, content in files:
        path = f"{tree}/{key}"
        parent = os.path.dirname(path)
        if parent not in made:
            os.makedirs(parent, exist_ok=True)
            made.add(parent)
        with open(path, "wb") as file:
            file.write(content)
        lines.append(f"{key}\t{hashlib.md5(content).hexdigest()}\t{len(content)}\n")
    return lines


def write_large(tree):
    """2 GiB in blocks that differ from each other, since the same block again would hide a part out of its place."""
    rng = random.Random(SEED + 4)
    block, digest = rng.randbytes(16 << 20), hashlib.md5()
    os.makedirs(tree)
    with open(f"{tree}/large.bin", "wb") as file:
        for number in range(128):
            changed = number.to_bytes(8, "big") + block[8:]
            digest.update(changed)
            file.write(changed)
    return [f"large.bin\t{digest.hexdigest()}\t{2 << 30}\n"]


def make(root, name):
    tree, listing, stamp = root / name, root / f"{name}.listing", root / f"{name}.made"
    if stamp.exists() and stamp.read_text() == VERSION:
        return
    print(f"making load {name}", file=sys.stderr)
    stamp.unlink(missing_ok=True)
    shutil.rmtree(tree, ignore_errors=True)
    makers = {"A": site, "C": changed_site, "E": many_small, "T": tiny_site}
    lines = write_large(tree) if name == "D" else write_tree(tree, makers[name]())
    listing.write_text("".join(lines))
    stamp.write_text(VERSION)


def main():
    root = pathlib.Path(sys.argv[1])
    root.mkdir(parents=True, exist_ok=True)
    # B and C start from a bucket that holds A.
    trees = {TREES[load] for load in sys.argv[2:]} | ({"A"} if {"B", "C"} & set(sys.argv[2:]) else set())
    for name in sorted(trees):
        make(root, name)
    # What is written back to the disk later would run beside the measurements.
    os.sync()


if __name__ == "__main__":
    main()

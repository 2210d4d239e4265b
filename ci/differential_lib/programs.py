"""Programs from setups and seeds: what is in the stores at first, and steps of Python."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

MB = 2**20
NAMES = (
    *("a", "b.txt", "dir/c", "dir/d.bin", "dir/sub/e.txt", "dir/sub/deep/f", "dir2/a", "e f", "dir/x-1.txt"),
    *("ünï/g", "dir/h#1", "dir/100%25", "empty", "dir.txt"),
)
FOLDERS = ("", "dir", "dir/sub", "dir2", "dir/sub/deep", "bare/")
PATTERNS = (
    "*",
    "**",
    "dir/*",
    "dir/**",
    "*.txt",
    "**/*.txt",
    "d*",
    "dir/?",
    "dir/[a-c]",
    "*/*",
    "no*",
    "dir/**/f",
)
READS = """
fs.ls({p})|fs.ls({d}, detail={b})|fs.ls({d}, detail={b})|fs.ls({d}, refresh=True, detail=False)|fs.info({p})
fs.info({d})|fs.exists({p})|fs.exists({d})|fs.lexists({p})|fs.isfile({p})|fs.isdir({d})|fs.isdir({p})
fs.size({p})|fs.sizes([{p}, {p}])|fs.find({d})|fs.find({d}, maxdepth={k}, withdirs={b}, detail={b})
fs.find({p}, withdirs={b})|fs.glob({g})|fs.glob({g}, detail=True)|fs.glob({g}, maxdepth={k})
list(fs.walk({d}))|list(fs.walk({p}, maxdepth={k}))|list(fs.walk({d}, topdown=False, detail={b}))
list(fs.walk({p}, on_error='raise'))|fs.du({d})|fs.du({p}, total=False)
fs.du({d}, total={b}, withdirs={b}, maxdepth={k})|fs.disk_usage({d})|fs.cat({p})|fs.cat({g})
fs.cat({d}, recursive=True)|fs.cat([{p}, {p}], on_error={e})|fs.cat_file({p})|fs.cat_file({p}, {o}, {o})
fs.cat_file({p}, start={o})|fs.cat_file({p}, end={o})
fs.cat_ranges([{p}, {p}], [{o}, {o}], [{o}, {o}], on_error='return')|fs.head({p}, {n})|fs.tail({p}, {n})
fs.read_block({p}, {n}, {n})|fs.read_block({p}, {n}, {n}, delimiter=b'\\n')|fs.read_bytes({p})
fs.read_bytes({p}, start={o}, end={o})|fs.read_text({p}, encoding='latin-1')|fs.expand_path({g})
fs.expand_path({p}, recursive=True)|fs.expand_path([{p}, {g}], recursive={b}, maxdepth={k})|fs.created({p})
fs.modified({p})|type(fs.checksum({d}))|len(fs.ukey({d}))|fs.stat({p})|fs.listdir({d})
fs.listdir({d}, detail=False)|fs.sign({p})|fs.unstrip_protocol({p})|fs._strip_protocol({p})|fs._parent({p})
fs.invalidate_cache({d})|fs.invalidate_cache()|fs.get({p}, tmp + '/out')
fs.get({d}, tmp + '/out', recursive=True)|fs.get({d}, tmp + '/out/', recursive=True)
fs.get({g}, tmp + '/out/')|fs.get([{p}, {p}], [tmp + '/o1', tmp + '/o2'])|fs.get_file({p}, tmp + '/out.bin')
fs.get({d}, tmp + '/out', recursive=True, maxdepth={k})|fs.download({p}, tmp + '/l')
fs.get([{p}, {p}], tmp + '/out')|fs.tree({d})|pickle.loads(pickle.dumps(fs)) == fs
pickle.loads(pickle.dumps(fs)).cat_file({p})|fs.protocol|type(fs).from_json(fs.to_json()) is fs
m = fs.get_mapper({d}); list(m)|m = fs.get_mapper({d}); len(m)|m = fs.get_mapper({d}); m[{r}]
m = fs.get_mapper({d}); m.get({r})|m = fs.get_mapper({d}); {r} in m
m = fs.get_mapper({d}); m.getitems([{r}, {r}], on_error='return')|fsspec.open({u}).open().read()
with fsspec.open({u}, 'r', encoding='latin-1') as f: v = f.readlines(); ~v[:5]|fs.open({p}).read({n})
with fs.open({p}) as f: v = f.read(3), f.size; ~v, f.closed|f = fs.open({p}); f.read()[:200]; f.close()
fs.open({p}, 'r').read({n})|fs.open({p}, compression='infer').read(20)|fs.open({d})
fs.start_transaction(); fs.end_transaction()
"""
WRITES = """
fs.pipe_file({p}, {w})|fs.pipe_file({p}, {w}, mode='create')|fs.pipe({p}, {w})|fs.pipe(^{p}: {w}, {p}: {w}$)
fs.mkdir({d} + '/new')|fs.mkdir({d} + '/new/er', create_parents={b})|fs.mkdir({p})|fs.makedirs({d} + '/m/n')
fs.makedirs({d}, exist_ok={b})|fs.mkdirs({d} + '/o', exist_ok={b})|fs.rm({p})|fs.rm({d}, recursive=True)
fs.rm({d})|fs.rm([{p}, {p}])|fs.rm({g})|fs.rm({d}, recursive=True, maxdepth={k})|fs.rm_file({p})
fs.rm_file({d})|fs.rmdir({d})|fs.rmdir({p})|fs.delete({p}, recursive={b})|fs.mv({p}, {p})
fs.mv({d}, {d} + '/into', recursive=True)|fs.move({p}, {d})|fs.mv({d}, '{r0}/moved', recursive=True)
fs.rename({p}, '{r0}/ren')|fs.mv({p}, {p}, recursive={b}, maxdepth=1)|fs.cp({p}, {p})
fs.copy({d}, {d} + '/copy', recursive=True)|fs.copy({d}, '{r0}/copy', recursive=True)|fs.copy({g}, {d})
fs.cp_file({p}, {p})|fs.copy([{p}, {p}], {d})|fs.copy({d}, '{r0}/copy/', recursive=True, maxdepth={k})
fs.put(tmp + '/l/a', {p})|fs.put(tmp + '/l', {d}, recursive=True)
fs.put(tmp + '/l/', {d} + '/', recursive=True)|fs.put(tmp + '/l/*', {d})|fs.put_file(tmp + '/l/a', {p})
fs.put_file(tmp + '/l/no', {p})|fs.upload(tmp + '/l/a', {p})|fs.put([tmp + '/l/a', tmp + '/l/s/b'], {d})
fs.put_file(tmp + '/l/s', {p})|fs.put(tmp + '/l/a', {d} + '/')|fs.put_file(tmp + '/l/a', {p}, mode='create')
fs.touch({p})|fs.touch({p}, truncate=False)|fs.touch({d})|fs.write_bytes({p}, {w})|fs.write_text({p}, 'ü')
m = fs.get_mapper({d}); m[{r}] = {w}|m = fs.get_mapper({d}); del m[{r}]
m = fs.get_mapper({d}); m.setitems(^{r}: {w}, {r}: {w}$)|m = fs.get_mapper({d}); m.delitems([{r}])
m = fs.get_mapper({d}); m.pop({r}, None)|m = fs.get_mapper({d}, create=True)
with fs.open({p}, 'wb') as f: f.write({w}); f.write({w})|with fs.open({p}, 'ab') as f: f.write({w})
with fs.open({p}, 'xb') as f: f.write({w})|with fs.open({p}, 'w', newline='\\n') as f: f.write('x\\ny')
with fs.transaction: fs.pipe_file({p}, {w}); f = fs.open({p}, 'wb'); f.write({w}); f.close()
f = fs.open({p}, 'wb', autocommit=False); f.write({w}); f.close(); f.{c}()
with fs.open({p}, 'r+b') as f: f.write(b'Z')
"""
ON_READER = """
f.read({n})|f.read({n})|f.read()|f.seek({n})|f.seek({n}, {h})|f.seek(-{n}, 2)|f.seek({o})|f.tell()
f.readline()|f.readlines()[:9]|b = bytearray({n}); (f.readinto(b), b)|f.readuntil(b'\\n')
f.readuntil(b'zz', blocks=2)|next(f)|f.read(-1)|f.read(0)|f.size|f.closed|f.write(b'a')
f.seekable(), f.readable(), f.writable()|f.info()['size']|f.readline({n})|f.read1({n})|f.peek({n})
f.read({n}), f.seek(0), f.read({n})|f.truncate(3)|f.flush()|f.full_name|f.fileno() > 2|f.cache.nblocks|f.loc
f.blocksize
"""
ON_WRITER = """
f.write({w})|f.write({w})|f.write({w})|f.write({W})|f.write({W})|f.write({W})|f.tell()|f.flush()
f.flush(force=True)|f.seek({n})|f.read()|f.closed|f.writelines([{w}, {w}])|f.write(memoryview({w}))
f.truncate({n})|f.writable()|f.write('str')|f.discard()|f.commit()|f.loc|f.write(bytearray({W}))|f.autocommit
f.blocksize
"""
CACHES = ("readahead", "bytes", "all", "mmap", "none", "first", "blockcache", "background", "parts")


def choices(table: str) -> list[str]:
    return [op for line in table.strip().splitlines() for op in line.split("|")]


class Maker:
    """Makes the steps of one program."""

    def __init__(
        self, chance: random.Random, root: str | None, protocol: str = "", sizes: tuple[int, ...] = ()
    ) -> None:
        self.chance, self.root, self.protocol = chance, root or "", protocol
        self.begin = "" if root is None else f"{root}/"
        self.sizes = sizes or (0, 1, 3, 7, 10, 50, 100, 1000, 70_000)
        names = chance.sample(NAMES, chance.randint(3, 8))
        self.tree: dict[str, Any] = {name: self.content() for name in names if name != "empty"}
        self.tree.update({"empty": ""} if "empty" in names else {})
        self.folders = {name.rpartition("/")[0] for name in names}
        if chance.random() < 0.4:
            self.tree["bare/"] = None

    def size(self) -> int:
        size = self.chance.choice(self.sizes)
        return max(0, size + self.chance.choice((-1, 0, 0, 0, 1))) if size > 3 else size

    def content(self) -> Any:
        size = self.size()
        return "one\ntwo\r\nthree"[:size] if size < 15 else [self.chance.randrange(99), size]

    def written(self, large: bool = False) -> str:
        size = self.size() if large else min(self.size(), 2000)
        return repr(b"written"[:size]) if size < 8 else f"blob([{self.chance.randrange(99)}, {size}])"

    def relative(self) -> str:
        at = self.chance.random()
        if at < 0.6 and self.tree:
            return self.chance.choice(list(self.tree))
        return self.chance.choice(
            NAMES if at < 0.85 else ("missing", "dir/missing", "no/such/file", "a/below")
        )

    def path(self, relative: str) -> str:
        path = self.begin + relative if relative else self.root
        if self.chance.random() < 0.06 and self.protocol:
            return f"url + {path!r}"
        return repr(path.rstrip("/") + "/" if self.chance.random() < 0.05 else path)

    def filled(self, template: str) -> str:
        chance = self.chance
        fill: dict[str, Callable[[], str]] = {
            "p": lambda: self.path(self.relative().rstrip("/")),
            "d": lambda: self.path(chance.choice((*self.folders, *FOLDERS, self.relative())).rstrip("/")),
            "g": lambda: repr(self.begin + chance.choice(PATTERNS)),
            "r": lambda: repr(self.relative()),
            "u": lambda: f"url + {self.root + '/' + self.relative()!r}, **options",
            "r0": lambda: self.root,
            "b": lambda: chance.choice(("True", "False")),
            "k": lambda: chance.choice(("1", "2", "None", "1", "2", "0")),
            "n": lambda: str(self.size()),
            "o": lambda: chance.choice(("None", "0", str(self.size()), str(self.size()), str(-self.size()))),
            "w": self.written,
            "W": lambda: self.written(large=True),
            "e": lambda: repr(chance.choice(("raise", "omit", "return"))),
            "h": lambda: str(chance.randint(0, 2)),
            "c": lambda: chance.choice(("commit", "discard")),
        }
        text = re.sub(r"\{(\w+)\}", lambda m: fill[m[1]](), template).replace("\\\\", "\\")
        text = re.sub(r"\^(.*?)\$", r"{\1}", text)
        if text.startswith("with "):  # all behind the colon is its body, but for what is marked
            return text.replace(": ", ":\n    ", 1).replace("; ~", "\n").replace("; ", "\n    ")
        return text.replace("; ", "\n")

    def operations(self, number: int, writes: bool) -> list[str]:
        tables = [choices(READS), choices(WRITES if writes else READS)]
        return [self.filled(self.chance.choice(self.chance.choice(tables))) for _ in range(number)]

    def reader(self, number: int, remote: bool = True) -> list[str]:
        options = [f"block_size={self.chance.choice((5, 1000, 2**16, MB, 5 * MB))}"] * (
            self.chance.random() < 0.7
        )
        if remote and self.chance.random() < 0.7:
            options.append(f"cache_type={self.chance.choice(CACHES[:-1])!r}")
        path = self.path(self.chance.choice([*self.tree] or ["a"]))
        opened = f"f = fs.open({', '.join([path, repr('rb'), *options])})"
        return [
            opened,
            *(self.filled(self.chance.choice(choices(ON_READER))) for _ in range(number)),
            "f.close()",
        ]

    def writer(self, number: int, block: str = "") -> list[str]:
        mode = self.chance.choice(("wb", "wb", "wb", "ab", "xb", "r+b"))
        more = f", block_size={block}" if block else ""
        if self.chance.random() < 0.15:
            more += ", autocommit=False"
        opened = f"f = fs.open({self.path(self.relative().rstrip('/'))}, {mode!r}{more})"
        steps = [self.filled(self.chance.choice(choices(ON_WRITER))) for _ in range(number)]
        return [opened, *steps, "f.close()", *(["f.commit()"] if "autocommit" in more else [])]


def mixed(maker: Maker, writes: bool, remote: bool = True) -> list[str]:
    """Operations, or those on one file, or both."""
    at = maker.chance.random()
    if at < 0.6:
        return maker.operations(maker.chance.randint(1, 6), writes)
    if at < 0.8 or not writes:
        return maker.reader(maker.chance.randint(1, 7), remote) + maker.operations(
            maker.chance.randint(0, 2), writes
        )
    return maker.writer(maker.chance.randint(1, 5)) + maker.operations(maker.chance.randint(1, 3), False)


def program(setup: str, seed: int) -> dict[str, Any]:
    """The program of a seed: always the same."""
    chance = random.Random(f"{setup} {seed}")
    name, _, kind = setup.partition("-")
    if name == "forked":
        return forked(kind, chance, seed)
    made = SETUPS[setup](chance)
    return {"setup": setup, "seed": seed, "server": "", "local": {}, "tree": {}, "faults": {}, **made}


def forked(kind: str, chance: random.Random, seed: int) -> dict[str, Any]:
    """One whose instances are used, and used on in a forked child."""
    made = program(kind, chance.randrange(10**9))
    steps = [s for s in made["steps"][made["prelude"] :] if "transaction" not in s]
    uses = program(kind, chance.randrange(10**9))
    used = [s for s in uses["steps"][uses["prelude"] :] if re.match(r"fs\.(?!open)", s)][:3] or ["fs.ls('/')"]
    begin = made["steps"][: made["prelude"]] + used
    at = len(begin)
    if steps and re.match(r"f = fs\.open\([^\n]*'rb'[^\n]*\)\Z", steps[0]):
        at += chance.randint(0, 2)  # an open reader goes along
    return {**made, "setup": f"forked-{kind}", "seed": seed, "steps": begin + steps, "fork": at}


LOCAL = {"l/a": "from local", "l/s/b": [5, 3000], "l/s/t/c": ""}


def remote(server: str, root: str, protocol: str) -> Callable[[random.Random], dict[str, Any]]:
    def make(chance: random.Random) -> dict[str, Any]:
        maker = Maker(chance, root, protocol)
        steps = [
            f"fs = fsspec.filesystem({protocol!r}, **options)",
            *mixed(maker, writes=True, remote=protocol != "sftp"),
        ]
        tree = {f"r/{name}": spec for name, spec in maker.tree.items()}
        return {"server": server, "tree": tree, "local": LOCAL, "steps": steps, "prelude": 1}

    return make


def archive(chance: random.Random) -> dict[str, Any]:
    maker = Maker(chance, "")
    kind = chance.choice(("zip", "tar", "tar:gz", "tar:xz", "7zip", "cpio"))
    if kind in ("7zip", "cpio"):
        maker.tree = {name: spec for name, spec in maker.tree.items() if spec is not None and name.isascii()}
    where, at = (
        "tmp + '/box'",
        chance.choice(("tmp + '/box'", "'file://' + tmp + '/box'", "open(tmp + '/box', 'rb')")),
    )
    begin = [
        f"make_archive({where}, {kind!r}, {maker.tree!r})",
        f"fs = fsspec.filesystem('libarchive', fo={at})",
    ]
    return {"steps": begin + mixed(maker, writes=False), "prelude": 2}


def git(chance: random.Random) -> dict[str, Any]:
    maker, other = Maker(chance, ""), Maker(chance, "")
    ref = chance.choice(("", "", ", ref='master'", ", ref='before'", ", ref='nothing'"))
    begin = [
        f"make_repository(tmp + '/repo', {[other.tree, maker.tree]!r})",
        f"fs = fsspec.filesystem('git', path=tmp + '/repo'{ref})",
    ]
    steps = mixed(maker, writes=False)
    if chance.random() < 0.4:
        steps = [
            re.sub(r"\)$", ", ref='before')", s) if re.match(r"fs\.(ls|info|open|cat_file)\(", s) else s
            for s in steps
        ]
    return {"steps": begin + steps, "prelude": 2}


LARGE = (0, 10, 1000, 2**16, 10**6, 5 * MB, 6 * MB + 3, 8 * MB, 11 * MB)


def large(store: str) -> Callable[[random.Random], dict[str, Any]]:
    def make(chance: random.Random) -> dict[str, Any]:
        root = {"local": "{tmp}/l", "memory": "/r", "http": "{url}", "s3": "bucket/r"}[store]
        maker = Maker(chance, root, "", LARGE)
        maker.tree = {
            "big": [chance.randrange(99), chance.choice((5, 8, 12, 20)) * MB + chance.choice((-1, 0, 5))],
            "b": "1\n2",
        }
        maker.folders = {""}
        block = chance.choice(("", "", f"{5 * MB}", f"{6 * MB + 1}", f"{MB}"))
        at = chance.random()
        if at < 0.55 or store == "http" and at < 0.85:
            steps = maker.reader(chance.randint(3, 9), store != "local")
        elif at < 0.85:
            steps = maker.writer(chance.randint(2, 8), block)
        else:
            steps = maker.operations(chance.randint(2, 4), store != "http")
        made: dict[str, Any] = {
            "server": store if store in ("http", "s3") else "",
            "local": LOCAL,
            "tree": maker.tree,
        }
        begin = [f"fs = fsspec.filesystem({'file' if store == 'local' else store!r}, **options)"]
        if store == "local":
            made["local"] = {**LOCAL, **{f"l/{name}": spec for name, spec in maker.tree.items()}}
            begin = ["fs = fsspec.filesystem('file')"]
        elif store == "memory":
            begin += [f"fs.pipe_file('/r/{name}', blob({spec!r}))" for name, spec in maker.tree.items()]
        elif store == "s3":
            made["tree"] = {f"r/{name}": spec for name, spec in maker.tree.items()}
        return {**made, "steps": begin + steps, "prelude": len(begin)}

    return make


FAULTS: tuple[dict[str, Any], ...] = (
    *(
        {"status": n, "times": times, "methods": ("GET",)}
        for n in (500, 503, 429, 404, 403, 416)
        for times in (1, 2, None)
    ),
    *({"truncate": n, "times": times, "methods": ("GET",)} for n in (0, 3, 500) for times in (1, None)),
    *({"drop_after": n, "times": times, "methods": ("GET",)} for n in (0, 5, 700) for times in (1, None)),
    {"ignore_range": True}, {"no_head": True}, {"chunked": True}, {"gzip": True}, {"no_accept_ranges": True},
    {"cut": 10}, {"no_content_range": True}, {"total": "*"}, {"content_length": 5000, "times": 1},
    {"wrong_range": 1}, {"status": 500, "times": 1, "methods": ("HEAD",)},
    {"status": 501, "methods": ("HEAD",)}, {"range_status": 200}, {"delay": 1.5, "methods": ("GET",)},
    {"delay_body": 1.5}, {"multipart": True}, {"redirect": "/b.txt"},
)  # fmt: skip


def web(server: str, faulty: bool) -> Callable[[random.Random], dict[str, Any]]:
    def make(chance: random.Random) -> dict[str, Any]:
        maker = Maker(chance, "{url}")
        faults, options = {}, []
        if faulty:
            for name in chance.sample(list(maker.tree), min(2, len(maker.tree))):
                faults["/" + name] = chance.choice(FAULTS)
            if any("delay" in key for fault in faults.values() for key in fault):
                options.append("client_kwargs={'timeout': __import__('aiohttp').ClientTimeout(total=0.7)}")
        else:
            options.append(chance.choice((
                "ssl=ssl.create_default_context(cafile=options['ca'])",
                "get_client=trusting(options['ca'])",
                "client_kwargs={'trust_env': True}, ssl=ssl.create_default_context(cafile=options['ca'])",
                "client_kwargs={'headers': {'X-A': 'b'}}", "ssl=False",
            )))  # fmt: skip
        protocol = chance.choice(("http", "https"))
        begin = [f"fs = fsspec.filesystem({protocol!r}, {', '.join(options)})"]
        steps = mixed(maker, writes=chance.random() < 0.3)
        return {
            "server": server,
            "tree": maker.tree,
            "local": LOCAL,
            "faults": faults,
            "steps": begin + steps,
            "prelude": 1,
        }

    return make


# The address is no option, as with the real S3: copies of sources that are told apart have other names.
ADDRESS = "os.environ['AWS_ENDPOINT_URL'] = options.pop('endpoint_url')"


def cached(kind: str) -> Callable[[random.Random], dict[str, Any]]:
    """A cache over S3, whose objects another program changes meanwhile."""

    def make(chance: random.Random) -> dict[str, Any]:
        maker = Maker(chance, "bucket/r")
        more = ["check_files=True", "expiry_time=None", "cache_check=0", "cache_check=1000"]
        more += ["same_names=True"] * (kind != "blockcache")
        chosen = ", ".join(["", *chance.sample(more, chance.randint(0, 2))])
        target = f"target_protocol='s3', target_options=options, cache_storage=tmp + '/c'{chosen}"
        begin = [
            ADDRESS,
            "there = fsspec.filesystem('s3', **options, skip_instance_cache=True)",
            f"fs = fsspec.filesystem({kind!r}, {target})",
        ]
        steps = mixed(maker, writes=chance.random() < 0.5)
        if chance.random() < 0.5:
            steps += [maker.filled(chance.choice(("there.pipe_file({p}, {w})", "there.rm_file({p})")))]
        steps += maker.operations(chance.randint(1, 3), False)
        tree = {f"r/{name}": spec for name, spec in maker.tree.items()}
        return {"server": "s3", "tree": tree, "local": LOCAL, "steps": begin + steps, "prelude": 3}

    return make


def chained(kind: str) -> Callable[[random.Random], dict[str, Any]]:
    """An archive, or references to parts, on S3; some over a cache."""

    def make(chance: random.Random) -> dict[str, Any]:
        maker, tree = Maker(chance, None), {}
        if kind == "reference":
            tree = {f"r/{name}": [chance.randrange(99), 70_000] for name in "ab"}
            references: dict[str, Any] = {}
            for name in maker.tree:
                target, at = f"s3://bucket/r/{chance.choice('aab')}", chance.choice((0, 10, 100, 65_000))
                forms = ([target], [target, at, 100], [target, at, 5000], "text", "base64:aGVsbG8=")
                references[name.rstrip("/")] = chance.choice((*forms, forms[1], forms[2]))
            of = "remote_protocol='s3', remote_options=options"
            begin = [ADDRESS, f"fs = fsspec.filesystem('reference', fo={references!r}, {of})"]
        else:
            form = chance.choice(("tar", "tar:xz")) if kind == "tar" else kind
            codec = ", compression='xz'" if form == "tar:xz" else ""
            cache = chance.choice(("", "", "simplecache", "filecache", "blockcache"))
            of = "target_protocol='s3', target_options=options"
            if cache:
                of = f"target_protocol={cache!r}, target_options={{'cache_storage': tmp + '/c', {of}}}"
                of = of.replace("_protocol='s3', target_options=", "_protocol': 's3', 'target_options': ")
                of = of.replace("tmp + '/c', target", "tmp + '/c', 'target")
            begin = [
                ADDRESS,
                f"make_archive(tmp + '/box', {form!r}, {maker.tree!r})",
                "fsspec.filesystem('s3', **options).put(tmp + '/box', 'bucket/box')",
                f"fs = fsspec.filesystem({kind!r}, fo='bucket/box', {of}{codec})",
            ]
        steps = mixed(maker, writes=False)
        made = {"server": "s3", "tree": tree, "local": LOCAL}
        return {**made, "steps": begin + steps, "prelude": len(begin)}

    return make


SETUPS: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "sftp": remote("sftp", "/r", "sftp"),
    "smb": remote("smb", "/SHARE/r", "smb"),
    "ftp": remote("ftp", "/r", "ftp"),
    "webhdfs": remote("webhdfs", "/r", "webhdfs"),
    "libarchive": archive,
    "git": git,
    **{f"{store}-large": large(store) for store in ("local", "memory", "http", "s3")},
    **{f"{kind}-s3": cached(kind) for kind in ("simplecache", "filecache", "blockcache")},
    **{f"{kind}-s3": chained(kind) for kind in ("zip", "tar", "reference")},
    "http-tls": web("https", faulty=False),
    "http-faulty": web("http", faulty=True),
}
NAMED = (*SETUPS, *(f"forked-{name}" for name in SETUPS if "faulty" not in name))

#!/usr/bin/env python3
"""The cases that compare.py cannot make with two running servers: each starts `kes server` (and the ceiling) as it needs them.

    bench/more.py [--only start,idle,audit,keys,policies,cold,listing] [--rounds 3] [--secs 2]

Programs come from KES_BIN, CEILING and KESLOAD, else from Cargo's target folder; `make bench-more` builds them and runs this. `listing` also needs
MinIO and mc in the tool cache (tests/tools/install minio mc). Every figure is printed beside what it is compared with, taken in the
same run. Servers run on loopback, on ports of the kernel's choice, with data in a temporary folder.
"""
import argparse, base64, json, os, re, shutil, signal, socket, ssl, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILT = os.path.join(os.environ.get("CARGO_TARGET_DIR") or os.path.join(os.path.dirname(HERE), "target"), "release")
KES = os.environ.get("KES_BIN") or os.path.join(BUILT, "kes")
CEILING = os.environ.get("CEILING") or os.path.join(BUILT, "ceiling")
KESLOAD = os.environ.get("KESLOAD") or os.path.join(BUILT, "kesload")
CACHE = os.environ.get("KES_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "kes")
TOOLS = os.path.join(CACHE, "tools")
TICK = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss(pid):
    """Resident memory in KiB."""
    with open(f"/proc/{pid}/status") as f:
        return next(int(l.split()[1]) for l in f if l.startswith("VmRSS"))


class Bench:
    def __init__(self, args, work):
        self.args, self.work, self.children = args, work, []
        for name, flags in [("server", ["--ip", "127.0.0.1", "--dns", "localhost"]), ("client", [])]:
            subprocess.run([KES, "identity", "new", "--key", self.path(f"{name}.key"), "--cert", self.path(f"{name}.crt"),
                            "--expiry", "8760h", *flags], check=True, stdout=subprocess.DEVNULL)
        self.client = self.out([KES, "identity", "of", self.path("client.crt")]).strip()

    def path(self, name):
        return os.path.join(self.work, name)

    @staticmethod
    def out(command, **kw):
        return subprocess.run(command, check=True, capture_output=True, text=True, **kw).stdout

    def spawn(self, command, **kw):
        child = subprocess.Popen(command, **kw)
        self.children.append(child)
        return child

    def stop(self, child):
        child.terminate()
        child.wait()
        self.children.remove(child)

    def stop_all(self):
        for child in list(self.children):
            child.kill()
            child.wait()

    def kes(self, name, extra="", admin=None, stdout=None):
        """Starts a server; returns it and its address, once it listens."""
        config = self.path(f"{name}.yaml")
        with open(config, "w") as f:
            f.write(f"address: 127.0.0.1:0\nadmin: {{ identity: {admin or self.client} }}\n"
                    f"tls: {{ key: {self.path('server.key')}, cert: {self.path('server.crt')} }}\n{extra}\n")
        child = self.spawn([KES, "server", "--config", config], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        address = None
        for line in child.stdout:
            if m := re.match(r"API\s+· https://(\S+)", line):
                address = m.group(1)
            if line.startswith("=>"):
                break
        # What else the server prints has a reader that keeps up, as in production.
        self.spawn(["cat"], stdin=child.stdout, stdout=subprocess.DEVNULL)
        child.stdout.close()
        return child, address

    def ceiling(self, mode="multi"):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % s.getsockname()[1]
        child = self.spawn([CEILING, address, self.path("server.crt"), self.path("server.key"), "2", mode])
        while True:
            try:
                socket.create_connection(address.split(":"), timeout=1).close()
                return child, address
            except OSError:
                time.sleep(0.01)

    def load(self, address, op, *flags):
        command = [KESLOAD, "--addr", address, "--cert", self.path("client.crt"), "--key", self.path("client.key"),
                   "--op", op, "--secs", str(self.args.secs), "--warmup", "0.5", *map(str, flags)]
        row = json.loads(self.out(command).strip().splitlines()[-1])
        if row.get("errors"):
            sys.exit(f"{' '.join(command)}: {row['errors']} errors; not a measurement")
        return row

    def cpu_per_request(self, child, address, *flags, op="decrypt"):
        """Microseconds of CPU."""
        before = cpu(child.pid)
        row = self.load(address, op, *flags)
        return (cpu(child.pid) - before) * 1e6 / (row["rps"] * (self.args.secs + 0.5))

    def create(self, address, name):
        env = dict(os.environ, KES_SERVER=f"https://{address}", KES_CLIENT_KEY=self.path("client.key"),
                   KES_CLIENT_CERT=self.path("client.crt"), KES_CA=self.path("server.crt"))
        subprocess.run([KES, "key", "create", name], check=True, env=env)

    def versus(self, title, a, b):
        """CPU per request of two running servers, in interleaved rounds; `a` and `b` are (name, child, address)."""
        for shape, flags in [("h2, 4 x 16", ["--conns", 4, "--streams", 16, "--h2"]), ("h1, 32", ["--conns", 32])]:
            rows = {a[0]: [], b[0]: []}
            for _ in range(self.args.rounds):
                for name, child, address in (a, b):
                    rows[name].append(self.cpu_per_request(child, address, *flags))
            x, y = statistics.median(rows[a[0]]), statistics.median(rows[b[0]])
            print(f"{title}, {shape}: {a[0]} {x:.2f} us, {b[0]} {y:.2f} us CPU per decrypt, x{y / x:.3f}", flush=True)


def start(b):
    """From the start of the process to the first answer."""
    context = ssl._create_unverified_context()
    context.load_cert_chain(b.path("client.crt"), b.path("client.key"))
    ids = [f"{i:064x}" for i in range(1000)]
    many = "policy:\n" + "".join(
        f"  p{i}:\n    allow: [ {', '.join(f'/v1/key/decrypt/p{i}-{r}*' for r in range(50))} ]\n    identities: [ {ids[i]} ]\n"
        for i in range(1000))

    def first_answer(command, address):
        began = time.perf_counter()
        child = b.spawn(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                raw = socket.create_connection(address, timeout=5)
                break
            except ConnectionRefusedError:
                if child.poll() is not None:
                    sys.exit("the server does not start")
        with context.wrap_socket(raw, server_hostname="localhost") as tls:
            tls.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
            tls.recv(1024)
        took = time.perf_counter() - began
        b.stop(child)
        return took * 1e3

    def free():
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", 0))
            return s.getsockname()

    cases = {"ceiling": None, "kes": "", "kes, 1,000 policies of 50 rules": many}
    rows = {name: [] for name in cases}
    for _ in range(max(7, b.args.rounds)):
        for name, extra in cases.items():
            address = free()
            if extra is None:
                command = [CEILING, "%s:%d" % address, b.path("server.crt"), b.path("server.key"), "2", "multi"]
            else:
                config = b.path("start.yaml")
                with open(config, "w") as f:
                    f.write(f"address: 127.0.0.1:{address[1]}\nadmin: {{ identity: {b.client} }}\n"
                            f"tls: {{ key: {b.path('server.key')}, cert: {b.path('server.crt')} }}\n{extra}")
                command = [KES, "server", "--config", config]
            rows[name].append(first_answer(command, address))
    for name, ms in rows.items():
        print(f"start to first answer: {name} {statistics.median(ms):.1f} ms (least {min(ms):.1f})", flush=True)


def idle(b):
    """Memory of 5,000 idle connections, and how much of it comes back."""
    count = 5000
    servers = [("ceiling percore", *b.ceiling("percore")), ("kes", *b.kes("idle"))]
    for h2 in (False, True):
        for name, child, address in servers:
            b.load(address, "version", "--conns", 4, *(["--h2"] if h2 else []))
            before = rss(child.pid)
            holder = b.spawn([KESLOAD, "--addr", address, "--cert", b.path("client.crt"), "--key", b.path("client.key"), "--op", "idle",
                              "--conns", str(count), *(["--h2"] if h2 else [])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            if '"open"' not in holder.stdout.readline():
                sys.exit(f"{name}: connections were refused")
            held = rss(child.pid)
            holder.stdin.close()
            holder.wait()
            b.children.remove(holder)
            time.sleep(10)
            after = rss(child.pid)
            back = 100 * (held - after) / max(1, held - before)
            print(f"idle, {'h2' if h2 else 'h1'}: {name} {(held - before) / count:.1f} KiB a connection, {back:.0f} % given back after 10 s",
                  flush=True)


def audit(b):
    """What the audit log on the console costs."""
    off = ("off", *b.kes("audit-off", "keys: [ { name: bench } ]\nlog: { error: off, audit: off }"))
    on = ("on", *b.kes("audit-on", "keys: [ { name: bench } ]\nlog: { error: off, audit: on }"))
    b.versus("audit", off, on)


def keys(b):
    """1 key in the cache against 100,000."""
    count = 100_000
    folder = b.path("keys")
    store(b, folder, count)
    expiry = "cache: { expiry: { any: 24h, unused: 24h } }\nkeys: [ { name: bench } ]\nlog: { error: off }\n"
    one = ("1 key", *b.kes("one", expiry))
    many = (f"{count} keys", *b.kes("many", expiry + f"keystore: {{ fs: {{ path: {folder} }} }}"))
    b.load(many[2], "touch", "--name", "bench", "--names", count, "--h2")
    b.versus("cache", one, many)


def policies(b):
    """1 policy against 1,000 of 50 rules; the caller's own is the last, and its rule the last of that."""
    def config(count):
        text = "policy:\n"
        for i in range(count):
            last = i == count - 1
            rules = [f"/v1/key/decrypt/p{i}-{r}*" for r in range(49 if count > 1 else 0)] + ["/v1/key/*" if last else f"/v1/key/x{i}*"]
            text += f"  p{i}:\n    allow: [ {', '.join(rules)} ]\n    identities: [ {b.client if last else f'{i:064x}'} ]\n"
        return text + "keys: [ { name: bench } ]\nlog: { error: off }\n"
    one = ("1 policy", *b.kes("policy-1", config(1), admin="disabled"))
    many = ("1,000 policies", *b.kes("policy-1000", config(1000), admin="disabled"))
    b.versus("policies", one, many)


def store(b, folder, count):
    """A folder with the keys bench0, bench1 and so on."""
    os.mkdir(folder, 0o700)
    for i in range(count):
        secret = base64.b64encode(i.to_bytes(32, "big")).decode()
        with open(os.path.join(folder, f"bench{i}"), "w") as f:
            f.write('{"bytes":"%s","algorithm":"AES256-GCM_SHA256"}' % secret)


def cold(b):
    """10,000 callers of one key that is in no cache, and of 10,000 such keys, all at once. How often the store is read is counted by the tests
    (src/keyring/tests.rs, src/keystore/fs/tests.rs); here is what it takes, and the most threads there were."""
    count = 10_000
    folder = b.path("cold")
    store(b, folder, count)
    for title, names in [("10,000 callers of one cold key", 1), ("10,000 cold keys", count)]:
        child, address = b.kes("cold", f"log: {{ error: off }}\nkeystore: {{ fs: {{ path: {folder} }} }}")
        before, most = cpu(child.pid), 0
        command = [KESLOAD, "--addr", address, "--cert", b.path("client.crt"), "--key", b.path("client.key"), "--op", "herd", "--h2",
                   "--conns", "40", "--callers", str(count), "--names", str(names)]
        load = b.spawn(command, stdout=subprocess.PIPE, text=True)
        while load.poll() is None:
            most = max(most, len(os.listdir(f"/proc/{child.pid}/task")))
            time.sleep(0.002)
        row = json.loads(load.stdout.read())
        b.children.remove(load)
        if load.returncode or row["errors"]:
            sys.exit(f"{title}: {row['errors']} errors; not a measurement")
        print(f"{title}: {row['seconds'] * 1e3:.0f} ms in all, {(cpu(child.pid) - before) * 1e6 / count:.1f} us of CPU a caller, "
              f"at most {most} threads", flush=True)
        b.stop(child)


def listing(b):
    """CPU that MinIO's listing of 1,000 encrypted objects costs us, an object; against the ceiling's CPU per request at one at a time."""
    minio, mc = os.path.join(TOOLS, "minio"), os.path.join(TOOLS, "mc")
    if not (os.path.exists(minio) and os.path.exists(mc)):
        print("listing: skipped: no minio or mc (tests/tools/install minio mc)")
        return
    ceiling, at = b.ceiling()
    per_request = b.cpu_per_request(ceiling, at, "--conns", 1, "--h2", op="version")
    child, address = b.kes("listing")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    env = dict(os.environ, MINIO_ROOT_USER="minioadmin", MINIO_ROOT_PASSWORD="minioadmin", MINIO_BROWSER="off", MINIO_CI_CD="1",
               MINIO_KMS_KES_ENDPOINT=f"https://{address}", MINIO_KMS_KES_KEY_NAME="minio-default",
               MINIO_KMS_KES_CERT_FILE=b.path("client.crt"), MINIO_KMS_KES_KEY_FILE=b.path("client.key"),
               MINIO_KMS_KES_CAPATH=b.path("server.crt"), MC_CONFIG_DIR=b.path("mc"))
    b.spawn([minio, "server", "--address", f"127.0.0.1:{port}", b.path("data")], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run = lambda *words: subprocess.run([mc, "--quiet", *words], env=env, capture_output=True, text=True)
    for _ in range(100):
        if run("alias", "set", "m", f"http://127.0.0.1:{port}", "minioadmin", "minioadmin").returncode == 0:
            break
        time.sleep(0.1)
    objects = b.path("objects")
    os.mkdir(objects)
    for i in range(1000):
        with open(os.path.join(objects, f"{i:04}"), "w") as f:
            f.write(str(i))
    for words in (["mb", "m/bucket"], ["encrypt", "set", "sse-s3", "m/bucket"], ["mirror", objects, "m/bucket"]):
        done = run(*words)
        if done.returncode:
            sys.exit(f"mc {' '.join(words)}: {done.stderr}")
    rounds = 5
    before = cpu(child.pid)
    for _ in range(rounds):
        if len(run("ls", "m/bucket").stdout.splitlines()) != 1000:
            sys.exit("listing: not all objects are there")
    each = (cpu(child.pid) - before) * 1e6 / (rounds * 1000)
    print(f"MinIO lists 1,000 SSE-S3 objects: {each:.1f} us of our CPU an object; the ceiling's request, one at a time, h2: {per_request:.1f} us; "
          f"x{each / per_request:.2f}", flush=True)


CASES = {"start": start, "idle": idle, "audit": audit, "keys": keys, "policies": policies, "cold": cold, "listing": listing}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", default=",".join(CASES))
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--secs", type=float, default=2)
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for name in args.only.split(","):
        work = tempfile.mkdtemp(prefix="kes-bench-")
        bench = Bench(args, work)
        try:
            CASES[name](bench)
        finally:
            bench.stop_all()
            shutil.rmtree(work, ignore_errors=True)


main()

#!/usr/bin/env python3
"""Measure one or more KES-protocol servers side by side, in one run, as ratios.

Every figure of interest is a ratio to the first server named, taken in interleaved rounds, because these machines are
shared and noisy. `ceiling` (the same TLS and HTTP stack with no work behind it) is the physical limit to compare with.

    compare.py --cert CLI.crt --key CLI.key --name bench \\
        --server ceiling=127.0.0.1:17374,PID --server kes=127.0.0.1:17373,PID [--rounds 3] [--secs 3] [--only decrypt] [--json]

`bench/run` starts both and calls this. Servers must be running on loopback, with the key `bench` already created; the
load generator must be built (option --kesload, else variable KESLOAD, else in Cargo's target folder). With a PID the CPU time a server spent per
request is given too: the steadiest figure here, since it does not see how much of the machine somebody else had.
"""
import argparse, json, os, statistics, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = os.sysconf("SC_CLK_TCK")
# name, operation, connections, streams, HTTP/2. The first is how a storage server lists encrypted objects: one warm
# connection, one request at a time.
CASES = [
    ("decrypt, 1 at a time, h2", "decrypt", 1, 1, True),
    ("decrypt, 1 at a time, h1", "decrypt", 1, 1, False),
    ("decrypt, 4 conns x 16, h2", "decrypt", 4, 16, True),
    ("decrypt, 32 conns, h1", "decrypt", 32, 1, False),
    ("generate, 4 conns x 16, h2", "generate", 4, 16, True),
    ("generate, 32 conns, h1", "generate", 32, 1, False),
    ("encrypt, 32 conns, h1", "encrypt", 32, 1, False),
    ("handshake, full, 16 at once", "handshake", 16, 1, False),
]


def built():
    """Where Cargo leaves the load generator."""
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(HERE, "kesload", "target")
    return os.environ.get("KESLOAD") or os.path.join(target, "release", "kesload")


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory(pid):
    with open(f"/proc/{pid}/status") as f:
        rows = dict(l.split(":", 1) for l in f if ":" in l)
    return {k: int(rows[k].split()[0]) // 1024 for k in ("VmRSS", "VmHWM") if k in rows}


def one(args, addr, pid, case):
    _, op, conns, streams, h2 = case
    cmd = [args.kesload, "--addr", addr, "--cert", args.cert, "--key", args.key,
           "--name", args.name, "--op", op, "--conns", str(conns), "--streams", str(streams), "--secs", str(args.secs),
           "--warmup", "0.5"]
    if h2:
        cmd.append("--h2")
    before = cpu(pid) if pid else 0
    out = subprocess.run(cmd, capture_output=True, text=True)
    if out.returncode:
        sys.exit(f"{' '.join(cmd)}\n{out.stderr}")
    row = json.loads(out.stdout.strip().splitlines()[-1])
    if row["errors"]:
        sys.exit(f"{addr} {case[0]}: {row['errors']} errors; not a measurement")
    if pid:
        row["cpu_us"] = (cpu(pid) - before) * 1e6 / max(1.0, row["rps"] * (args.secs + 0.5))
    return row


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--server", action="append", required=True, metavar="NAME=ADDR[,PID]")
    p.add_argument("--cert", required=True)
    p.add_argument("--key", required=True)
    p.add_argument("--name", default="bench")
    p.add_argument("--secs", type=float, default=3)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--only", default="")
    p.add_argument("--json", action="store_true")
    p.add_argument("--kesload", default=built(), metavar="PATH", help="the load generator (%(default)s)")
    args = p.parse_args()
    servers = []
    for s in args.server:
        name, rest = s.split("=", 1)
        addr, _, pid = rest.partition(",")
        servers.append((name, addr, int(pid) if pid else None))
    if not os.access(args.kesload, os.X_OK):
        sys.exit(f"Error: no load generator at {args.kesload}\nHint: make bench, or cargo build --release --locked in {HERE}/kesload")
    result = {}
    for case in CASES:
        if args.only and args.only not in case[0]:
            continue
        rows = {n: [] for n, _, _ in servers}
        for _ in range(args.rounds):
            for n, addr, pid in servers:
                rows[n].append(one(args, addr, pid, case))
        med = {n: {k: statistics.median(r[k] for r in rs) for k in ("rps", "p50_us", "p99_us", "p999_us", "cpu_us") if k in rs[0]}
               for n, rs in rows.items()}
        result[case[0]] = med
        if not args.json:
            first = med[servers[0][0]]
            print(f"\n{case[0]}")
            for n, _, _ in servers:
                m = med[n]
                line = f"  {n:<12} {m['rps']:>9.0f}/s  p50 {m['p50_us']:>6.0f} us  p99 {m['p99_us']:>6.0f}  p99.9 {m['p999_us']:>6.0f}"
                if "cpu_us" in m:
                    line += f"  cpu {m['cpu_us']:>6.1f} us"
                line += f"   x{m['rps'] / first['rps']:.2f} rate, x{m['p50_us'] / max(1, first['p50_us']):.2f} p50"
                if "cpu_us" in m and "cpu_us" in first:
                    line += f", x{m['cpu_us'] / first['cpu_us']:.2f} cpu"
                print(line, flush=True)
    mem = {n: memory(pid) for n, _, pid in servers if pid}
    result["memory_mib"] = mem
    if args.json:
        print(json.dumps(result))
    else:
        print("\nmemory, MiB:", ", ".join(f"{n} {m.get('VmRSS')} (peak {m.get('VmHWM')})" for n, m in mem.items()))


main()

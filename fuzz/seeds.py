#!/usr/bin/env python3
"""Writes fuzz/corpus anew from the vectors and samples of the tests, and a few texts below.

Run it when those change. What fuzzing found and is worth keeping stands in corpus/TARGET/ under names that start with `found-`; such
files are left alone.
"""

import base64
import json
import pathlib

FUZZ = pathlib.Path(__file__).resolve().parent
TESTS = FUZZ.parent / "tests/integration"
# CRC-32C of the header below that carries it.
CRC32C = bytes.fromhex("2fb7c31d")
ED25519_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")


def vectors(name):
    return json.loads((TESTS / "compat/vectors" / f"{name}.json").read_text())


def unbase64(text):
    return base64.b64decode(text)


def pem(label, der):
    text = base64.b64encode(der).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def answer():
    yield {"version": "v0.1.0", "commit": "<unknown>"}
    yield {"version": "0.1.0", "os": "linux", "arch": "amd64", "uptime": 1, "num_cpu": 2, "num_cpu_used": 2, "heap_alloc": 1}
    yield {"version": "0.1.0", "keystore_latency": 1, "keystore_unreachable": True}
    yield [{"method": "GET", "path": "/version", "max_body": 0, "timeout": 10}]
    yield {"name": "k", "algorithm": "AES256", "created_at": "2024-01-01T00:00:00Z", "created_by": "ab"}
    yield {"names": ["a", "b"], "continue_at": "*c"}
    yield {"names": None}
    yield {"identities": ["ab"], "continue_at": ""}
    yield {"name": "p", "allow": {"/v1/*": {}}, "deny": {}, "created_at": "2024-01-01T00:00:00.5Z"}
    yield {"identity": "ab", "policy": "p", "admin": True, "created_at": "2024-01-01T00:00:00Z"}
    yield {"identity": "ab", "policy_name": "p", "policy": {"allow": {"/version": {}}}}
    yield {"plaintext": "AQI=", "ciphertext": "AwQ="}
    yield {"ciphertext": "AwQ="}
    yield {"plaintext": "AQI="}
    yield {"hmac": "AQI="}
    yield {"message": "key does not exist"}
    yield {"error": "old", "error_code": "X", "error_message": "y"}


def request_body():
    plain = "eyJidWNrZXQiOiJiIn0="
    yield b"{}"
    yield b" \n\tnull"
    yield b""
    yield {"plaintext": "AQI=", "context": plain}
    yield {"ciphertext": "AQI=", "context": plain, "version": "v1"}
    yield {"message": ""}
    yield {"key": base64.b64encode(bytes(32)).decode(), "cipher": "AES256"}
    yield {"bytes": base64.b64encode(bytes(32)).decode(), "algorithm": "AES256-GCM_SHA256"}
    yield {"key": base64.b64encode(bytes(32)).decode(), "hmac": base64.b64encode(bytes(32)).decode(), "cipher": "ChaCha20"}
    yield {"plaintext": [1, 2, 255], "context": None}
    yield b'{"PlainText":"A\\nQ\\r\\nI=","plaintext":"AQI="} {"plaintext":1}'
    yield b'{"other":{"a":[1,{}]},"plaintext":"AQI="} trailing'
    yield b'{"plaintext":"AQI=","version":"\xff"}'
    yield b'{"version":"\\ud83d\\ude00\\u0000"}'
    yield '{"\u212aey":"AQ==","byte\u017f":"Ag=="}'.encode()
    yield [{"ciphertext": "AQI="}, {"ciphertext": "AwQ=", "context": "AQ=="}, None, {}]
    yield b"[" + b",".join([b"{}"] * 1001) + b"]"
    yield b"[" * 200 + b"]" * 200
    yield b'{"a":' * 200 + b"1" + b"}" * 200
    yield b'{"a":"\\"}]","b":[{},"\\\\"]}'
    yield b"{]"
    yield b'"text"{}'
    yield b"1.5e300[]"


def certificate():
    file = vectors("identity")
    ders = {name: unbase64(cert["der"]) for name, cert in file["certificates"].items()}
    for chain in file["chains"]:
        certs = [ders[name] for name in chain["chain"]]
        yield b"".join(len(cert).to_bytes(2, "big") + cert for cert in certs)
    yield from ders.values()


def ciphertext():
    for vector in vectors("reference")["decrypt"][:6]:
        yield unbase64(vector["ciphertext"])
    for name in ["legacy_json", "legacy_msgpack", "current_leading_byte", "current"]:
        for vector in vectors(name)["vectors"][:4]:
            yield unbase64(vector["ciphertext"])
    for vector in vectors("negative")["vectors"][-24:]:
        yield unbase64(vector["ciphertext"])


def config():
    samples = TESTS / "config/samples"
    for path in [*sorted(samples.glob("*.yaml")), *sorted(samples.glob("invalid/*.yaml"))[:32]]:
        yield path.read_bytes()


def file():
    for vector in vectors("file")["vectors"]:
        if "file" in vector:
            yield unbase64(vector["file"])
    yield b"\x89KESF\r\n\x1a\x01\x03"
    yield b"\x89KESF\r\n\x1a\x02"
    yield b"\x89PNG\r\n\x1a\n"


def forwarded():
    golden = TESTS / "proxy/golden"
    cert = (golden / "client.crt").read_bytes().strip()
    base64_der = (golden / "haproxy.txt").read_bytes().strip()
    yield (golden / "nginx.txt").read_bytes().strip()
    yield base64_der
    yield b":" + base64_der + b":"
    yield cert.replace(b"\n", b" ")
    yield cert.replace(b"\n", b"%0d%0A").replace(b"N C", b"N+C").replace(b"D C", b"D+C")
    yield b"-----BEGIN CERTIFICATE-----AQ==-----END CERTIFICATE-----"
    yield b"-----BEGIN%20CERTIFICATE-----%0A-----END%20CERTIFICATE-----"
    yield b":AQ==:"
    yield b"%"


def name():
    for vector in vectors("names")["vectors"]:
        yield vector["text"].encode()
    yield b"my*my-key"
    yield b"*_"


def pem_files():
    file = vectors("identity")
    leaf, ca, *_ = [unbase64(cert["der"]) for cert in file["certificates"].values()]
    key = ED25519_PKCS8 + bytes(range(32))
    yield pem("CERTIFICATE", leaf)
    yield pem("CERTIFICATE", leaf) + b"# text between\n" + pem("CERTIFICATE", ca)
    yield pem("PRIVATE KEY", key)
    yield pem("CERTIFICATE", leaf) + pem("PRIVATE KEY", key)
    yield pem("EC PRIVATE KEY", key)
    yield pem("RSA PRIVATE KEY", key)
    yield pem("PUBLIC KEY", key)
    yield pem("ENCRYPTED PRIVATE KEY", key)
    yield pem("CERTIFICATE", leaf).replace(b"\n", b"\r\n")
    old = pem("PRIVATE KEY", key).split(b"\n", 1)
    yield old[0] + b"\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n" + old[1]
    yield pem("CERTIFICATE", leaf)[:-10]
    yield b"-----BEGIN A-----\nA!==\n-----END A-----"
    yield b"no block"


def policy():
    for vector in vectors("policy")["vectors"]:
        rules = [*vector["allow"], *("!" + rule for rule in vector["deny"])]
        for path in list(vector["requests"])[:2]:
            yield "\n".join([path, *rules]).encode()
    yield b"a]/b\n[a-z\\]]?*\n![^a]\\*"


def proxy_protocol():
    def v2(command, family, block):
        return b"\r\n\r\n\0\r\nQUIT\n" + bytes([command, family]) + len(block).to_bytes(2, "big") + block

    tcp4 = bytes([192, 0, 2, 1, 10, 0, 0, 9, 0xDE, 0xAD, 0x1C, 0xCD])
    tcp6 = bytes([0x20, 1, 13, 0xB8, *[0] * 11, 1, *[0] * 15, 1, 1, 0xBB, 0x1C, 0xCD])
    yield b"PROXY TCP4 192.0.2.1 10.0.0.9 57005 7373\r\n\x16\x03\x01"
    yield b"PROXY TCP6 2001:db8::1 ::1 443 7373\r\n"
    yield b"PROXY UNKNOWN ffff::1 ::1 1 2\r\n"
    yield b"PROXY UNKNOWN\r\n"
    yield v2(0x21, 0x11, tcp4) + b"\x16\x03\x01"
    yield v2(0x21, 0x21, tcp6)
    yield v2(0x21, 0x11, tcp4 + b"\x04\0\x02\0\0\x02\0\x03kes")
    # With a checksum that is right, and one that is not.
    yield v2(0x21, 0x11, tcp4 + b"\x03\0\x04" + CRC32C)
    yield v2(0x21, 0x11, tcp4 + b"\x03\0\x04\0\0\0\0")
    yield v2(0x20, 0x00, b"")
    yield v2(0x21, 0x00, b"")
    yield v2(0x21, 0x31, bytes(216))


def request_path():
    yield b"/version"
    yield b"/v1/key/describe/my-key"
    yield b"//v1//key/list/a/"
    yield b"/v1/%6bey/list/%61"
    yield b"/v1/key/describe/%2541"
    yield b"/v1/./status"
    yield b"/v1/key%2flist/"
    yield b"/v1/key/describe/%2e%2e"
    yield b"/v1/key/describe/a%2Fb"
    yield b"/v1/key/list/%ff%C3%A9*"
    yield b"/a/b/c/d/e/f"
    yield b"/%zz"
    yield b"/"
    yield b""


def sealed():
    yield bytes([0, 0])
    yield bytes([0, 1]) + b"a"
    yield bytes([20, 128]) + bytes(32)
    yield bytes([255, 255]) + bytes(range(200))


def stored_key():
    file = vectors("stored_keys")
    reference = vectors("reference")
    lists = [file["vectors"], file["refused"], reference["stored_keys"], reference["stored_keys_refused"]]
    for vector in (vector for part in lists for vector in part):
        yield vector["raw_text"].encode()


TARGETS = {
    "answer": answer,
    "body_end": request_body,
    "certificate": certificate,
    "ciphertext": ciphertext,
    "config": config,
    "file": file,
    "forwarded": forwarded,
    "name": name,
    "pem": pem_files,
    "policy": policy,
    "proxy_protocol": proxy_protocol,
    "request_body": request_body,
    "request_path": request_path,
    "sealed": sealed,
    "stored_key": stored_key,
}


def main():
    for target, seeds in TARGETS.items():
        folder = FUZZ / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("seed-*"):
            old.unlink()
        texts = [seed if isinstance(seed, bytes) else json.dumps(seed).encode() for seed in seeds()]
        for number, text in enumerate(dict.fromkeys(texts)):
            (folder / f"seed-{number:02}").write_bytes(text)


if __name__ == "__main__":
    main()

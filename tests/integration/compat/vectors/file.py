#!/usr/bin/env python3
"""The format of encrypted files (docs/file-format.md), written a second time, from the document and in another language.

    python3 -m venv VENV && VENV/bin/pip install cryptography==48.0.0
    VENV/bin/python file.py make            writes file.json anew: the same bytes each time
    VENV/bin/python file.py check           holds file.json against this program
    VENV/bin/python file.py open KEY < FILE decrypts a file with its data key in hexadecimal

Vectors of data at rest never change: `make` may only add to them.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FILE = pathlib.Path(__file__).with_name("file.json")
MAGIC = b"\x89KESF\r\n\x1a"
CIPHERS = {1: AESGCM, 2: ChaCha20Poly1305}
NAMES = {1: "AES256", 2: "ChaCha20"}
TAG = 16


def derive(data_key, file_id, purpose):
    return HKDF(hashes.SHA256(), 32, salt=file_id, info=purpose).derive(data_key)


def context(cipher, log, file_id, name):
    return MAGIC + bytes([1, cipher, log]) + file_id + bytes([len(name)]) + name.encode()


def header(before, wrapped, data_key, file_id):
    start = before + struct.pack(">H", len(wrapped)) + wrapped
    mac = hmac.new(derive(data_key, file_id, b"kes file 1 header"), start, hashlib.sha256).digest()
    return start + mac


def nonce(number, last):
    return number.to_bytes(11, "big") + bytes([last])


def seal(cipher, log, file_id, name, wrapped, data_key, plaintext):
    out = header(context(cipher, log, file_id, name), wrapped, data_key, file_id)
    aead = CIPHERS[cipher](derive(data_key, file_id, b"kes file 1 chunks"))
    size = 1 << log
    chunks = [plaintext[at : at + size] for at in range(0, len(plaintext), size)] or [b""]
    for number, chunk in enumerate(chunks):
        out += aead.encrypt(nonce(number, number == len(chunks) - 1), chunk, None)
    return out


def unseal(data, data_key):
    assert data[:8] == MAGIC and data[8] == 1, "another format"
    cipher, log, file_id, length = data[9], data[10], data[11:27], data[27]
    before = data[: 28 + length]
    (size,) = struct.unpack(">H", data[28 + length : 30 + length])
    wrapped = data[30 + length : 30 + length + size]
    end = 30 + length + size + 32
    start = header(before, wrapped, data_key, file_id)
    assert hmac.compare_digest(start, data[:end]), "the header was altered"
    aead = CIPHERS[cipher](derive(data_key, file_id, b"kes file 1 chunks"))
    step, rest, plaintext, number = (1 << log) + TAG, data[end:], b"", 0
    while True:
        chunk, rest = rest[:step], rest[step:]
        opened = aead.decrypt(nonce(number, not rest), chunk, None)
        assert opened or number == 0, "an empty chunk after others"
        plaintext += opened
        number += 1
        if not rest:
            return plaintext


def plain(length):
    """Bytes that differ from chunk to chunk."""
    return b"".join(hashlib.sha256(struct.pack(">Q", at)).digest() for at in range(length // 32 + 1))[:length]


def vectors():
    cases = [(log, size) for log in (10, 11) for size in (0, 1, 15, 16, 17, 1023, 1024, 1025, 2047, 2048, 2049, 4096)]
    cases += [(16, size) for size in (0, 1, 65535, 65536, 65537, 131072, 200000)] + [(20, 1048577)]
    for index, (log, size) in enumerate(cases):
        for cipher in CIPHERS:
            file_id = hashlib.sha256(b"id %d %d" % (index, cipher)).digest()[:16]
            data_key = hashlib.sha256(b"key %d %d" % (index, cipher)).digest()
            name = ["my-key", "a", "old.name:1+2", "k" * 80][index % 4]
            wrapped = plain([76, 1, 200, 4096][index % 4] if size < 4096 else 76)
            sealed = seal(cipher, log, file_id, name, wrapped, data_key, plain(size))
            assert unseal(sealed, data_key) == plain(size)
            vector = {
                "cipher": NAMES[cipher],
                "chunk_log": log,
                "id": file_id.hex(),
                "key": name,
                "data_key": data_key.hex(),
                "wrapped": base64.b64encode(wrapped).decode(),
                "context": context(cipher, log, file_id, name).hex(),
                "plaintext_len": size,
                "plaintext_sha256": hashlib.sha256(plain(size)).hexdigest(),
                "file_len": len(sealed),
                "file_sha256": hashlib.sha256(sealed).hexdigest(),
            }
            # Whole files where they are short; the plaintexts follow from their length.
            if len(sealed) < 1500:
                vector["file"] = base64.b64encode(sealed).decode()
            yield vector


def document():
    about = "docs/file-format.md; made by file.py. A plaintext is SHA-256 of 0, 1, 2 and so on as 8 bytes, most significant first, one after the other, cut to its length."
    return json.dumps({"about": about, "vectors": list(vectors())}, indent=1) + "\n"


def main():
    match sys.argv[1:]:
        case ["make"]:
            FILE.write_text(document())
        case ["check"]:
            assert FILE.read_text() == document(), "file.json differs"
        case ["open", key]:
            try:
                sys.stdout.buffer.write(unseal(sys.stdin.buffer.read(), bytes.fromhex(key)))
            except InvalidTag:
                sys.exit("a chunk is not what was written there")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()

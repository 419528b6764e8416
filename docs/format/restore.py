#!/usr/bin/env python3
"""Restore files from a quarantine folder without showcause (docs/format/quarantine.md).

usage: restore.py QUARANTINE ITEM... [--to FOLDER]     ITEM: an id, or "all"

Python 3.9 and its standard library only. It reads age files (age-encryption.org/v1)
by itself, slowly: about a megabyte in a few seconds. Nothing is replaced, and the
quarantine is not changed.
"""
import base64, fcntl, hashlib, hmac, json, os, struct, sys


def bech32(text):  # BIP 173, without its checksum: a wrong key opens nothing
    bits = "".join(format("qpzry9x8gf2tvdw0s3jn54khce6mua7l".index(c), "05b") for c in text.lower().rsplit("1", 1)[1][:-6])
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits) // 8 * 8, 8))


def x25519(k, u):  # RFC 7748, section 5
    p, k = 2**255 - 19, (int.from_bytes(k, "little") & ~7 & (2**255 - 1)) | 2**254
    x1 = int.from_bytes(u, "little") & (2**255 - 1)
    x2, z2, x3, z3 = 1, 0, x1, 1
    for i in reversed(range(255)):
        bit = k >> i & 1
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        da, cb, aa, bb = d * a % p, c * b % p, a * a % p, b * b % p
        e = aa - bb
        x3, z3, x2, z2 = (da + cb)**2 % p, x1 * (da - cb)**2 % p, aa * bb % p, e * (aa + 121665 * e) % p
        if bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
    return (x2 * pow(z2, p - 2, p) % p).to_bytes(32, "little")


def hkdf(secret, salt, info):  # RFC 5869, SHA-256, 32 bytes
    key = hmac.new(salt or bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()


def block(key, nonce, n):  # ChaCha20, RFC 8439, section 2.3
    s0 = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, *struct.unpack("<8L", key), n, *struct.unpack("<3L", nonce)]
    s = s0[:]
    for _ in range(10):
        for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                           (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
            for x, y, z, r in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                s[x] = s[x] + s[y] & 0xffffffff
                v = s[z] ^ s[x]
                s[z] = (v << r | v >> 32 - r) & 0xffffffff
    return struct.pack("<16L", *(v + w & 0xffffffff for v, w in zip(s, s0)))


def opened(key, nonce, box):  # ChaCha20-Poly1305, RFC 8439, section 2.8, without associated data
    text, tag = box[:-16], box[-16:]
    otk = block(key, nonce, 0)
    r, s = int.from_bytes(otk[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff, int.from_bytes(otk[16:32], "little")
    acc = 0
    for i in range(0, len(text), 16):
        acc = (acc + int.from_bytes(text[i:i + 16].ljust(16, b"\0") + b"\x01", "little")) * r % (2**130 - 5)
    acc = (acc + int.from_bytes(struct.pack("<QQ", 0, len(text)) + b"\x01", "little")) * r % (2**130 - 5)
    if len(box) < 16 or not hmac.compare_digest(((acc + s) % 2**128).to_bytes(16, "little"), tag):
        raise ValueError("content is damaged, or of another key")
    pad = b"".join(block(key, nonce, 1 + i // 64) for i in range(0, len(text), 64))
    return (int.from_bytes(text, "little") ^ int.from_bytes(pad[:len(text)], "little")).to_bytes(len(text), "little")


def unbase64(text):
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def decrypt(f, secret):  # yields the content of an age file, chunk by chunk
    header, key = f.readline(200), None
    if header != b"age-encryption.org/v1\n":
        raise ValueError("not an age file")
    line = f.readline(200)
    while line.startswith(b"-> "):
        kind, body = line.decode().split()[1:], b""
        header += line
        while True:
            line = f.readline(200)
            header += line
            body += line.strip()
            if len(line) < 65:
                break
        if kind[0] == "X25519":
            share, mine = unbase64(kind[1]), x25519(secret, bytes([9]) + bytes(31))
            wrap = hkdf(x25519(secret, share), share + mine, b"age-encryption.org/v1/X25519")
            key = opened(wrap, bytes(12), unbase64(body.decode()))
        line = f.readline(200)
    mac = hmac.new(hkdf(key, b"", b"header"), header + b"---", hashlib.sha256).digest()
    if line[:4] != b"--- " or not hmac.compare_digest(mac, unbase64(line[4:].decode().strip())):
        raise ValueError("header is damaged")
    stream, n = hkdf(key, f.read(16), b"payload"), 0
    chunk = f.read(65536 + 16)
    while True:
        after = f.read(65536 + 16)
        yield opened(stream, n.to_bytes(11, "big") + (b"\0" if after else b"\1"), chunk)
        if not after:
            return
        chunk, n = after, n + 1


def spread(chunks, holes):  # yields (offset, bytes or None, length): None for a hole
    pos, i, holes = 0, 0, [(h["at"], h["size"]) for h in holes]
    for chunk in chunks:
        while chunk:
            while i < len(holes) and pos == holes[i][0]:
                yield pos, None, holes[i][1]
                pos, i = pos + holes[i][1], i + 1
            n = min(len(chunk), holes[i][0] - pos) if i < len(holes) else len(chunk)
            yield pos, chunk[:n], n
            pos, chunk = pos + n, chunk[n:]
    while i < len(holes) and pos == holes[i][0]:
        yield pos, None, holes[i][1]
        pos, i = pos + holes[i][1], i + 1


def restore(folder, item, secret, to):
    it = json.load(open(os.path.join(folder, item + ".json")))
    meta, sha, size = it["meta"], hashlib.sha256(), 0
    names = [base64.b64decode(n["bytes"]) for n in it["names"]]
    if to:
        names = [os.path.join(os.fsencode(to), os.path.basename(names[0]))]
    temp = os.path.join(os.path.dirname(names[0]), b".showcause-restore-" + item.encode())
    fd = os.open(temp, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        with open(os.path.join(folder, item + ".age"), "rb") as data:
            for at, chunk, n in spread(decrypt(data, secret), it.get("holes") or []):
                size += n
                if size > it["size"]:
                    break
                if chunk is None:
                    while n:
                        sha.update(bytes(min(n, 1 << 20)))
                        n -= min(n, 1 << 20)
                    continue
                sha.update(chunk)
                os.lseek(fd, at, os.SEEK_SET)
                while chunk:
                    chunk = chunk[os.write(fd, chunk):]
        os.ftruncate(fd, it["size"])
        if sha.hexdigest() != it["sha256"] or size != it["size"]:
            raise ValueError("not the bytes that were taken")
        os.fchown(fd, meta["uid"], meta["gid"])
        for name in os.listxattr(fd):
            if name not in [x["name"] for x in meta.get("xattrs") or []]:
                os.removexattr(fd, name)
        for x in meta.get("xattrs") or []:
            os.setxattr(fd, x["name"], base64.b64decode(x["value"] or ""))
        os.fchmod(fd, int(meta["mode"], 8))
        os.utime(fd, ns=tuple(meta[t]["sec"] * 10**9 + meta[t]["nsec"] for t in ("atime", "mtime")))
        os.fsync(fd)
        for name in names:
            os.link(temp, name, follow_symlinks=False)  # fails if it is there
            print("restored", os.fsdecode(name).encode("unicode_escape").decode())
        if meta.get("flags"):
            try:  # FS_IOC_GETFLAGS, FS_IOC_SETFLAGS as x86 and ARM have them
                have = struct.unpack("l", fcntl.ioctl(fd, 0x80086601, bytes(8)))[0]
                fcntl.ioctl(fd, 0x40086602, struct.pack("l", have | meta["flags"]))
            except OSError as e:
                print("  flags of the inode were %#x: set them with chattr (%s)" % (meta["flags"], e))
    finally:
        os.unlink(temp)
        os.close(fd)


def main():
    args, to = sys.argv[1:], None
    if "--to" in args:
        i = args.index("--to")
        to, args = args[i + 1], args[:i] + args[i + 2:]
    if len(args) < 2:
        sys.exit(__doc__)
    folder, items = args[0], args[1:]
    key = [line for line in open(os.path.join(folder, "key")) if line.startswith("AGE-SECRET-KEY-1")][0]
    if items == ["all"]:
        items = sorted(n[:-5] for n in os.listdir(folder) if len(n) == 37 and n.endswith(".json")
                       and json.load(open(os.path.join(folder, n)))["state"] in ("stored", "restoring", "taken"))
    for item in items:
        restore(folder, item, bech32(key.strip()), to)


if __name__ == "__main__":
    main()

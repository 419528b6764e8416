#!/usr/bin/env python3
"""Verify Showcause records without Showcause.

    verify.py --key KEY.PUB [--key ...] [--need-proof] [--json] RECORD...
    verify.py [--key KEY.PUB] [--json] --store DIR

The second form verifies a host's store: every record, the whole log (every tile
from the entries up to the signed root), and that each has the other's.

One file, the standard library, Python 3.9 or later. It shares no code with the
program that made the records: it is written from docs/format/record.md, which
says what is checked and what the codes mean. The exit code is 0 if all records
verify, 1 if one is refused, 2 if something could not be read.

It checks signatures by Ed25519 (one by ML-DSA-44 beside it is said to be not
checked), the form of the record, its commitments, that it holds together, the
rule's text against its digest, ClamAV hash, body and logical signatures against
the matches, and a proof that the host's log has the record. The condition of a YARA
rule is not evaluated here, and says so.
"""
import base64
import binascii
import datetime
import hashlib
import json
import os
import re
import sys

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
KINDS = ("finding", "coverage", "action", "contest", "decision", "case")
VERDICTS = ("nothing-found", "incomplete", "error", "found")
MAX_INT = 2**53 - 1
MAX_FILE = 64 << 20
MAX_DEPTH = 24
MAX_VALUES = 1 << 21
MAX_MEMBERS = 1024  # of one object
MAX_DISCLOSED = 1 << 16
MAX_PROBLEMS = 256  # that a refusal names
MAX_MATCHES = 16  # recorded of one pattern


class Refused(Exception):
    """A reason that ends the check at once."""

    def __init__(self, code, where, text):
        super().__init__(text)
        self.problem = (code, where, text)


# ---------------------------------------------------------------- JSON (RFC 8785)

def parse(data):
    def pairs(items):
        if len(items) > MAX_MEMBERS:
            raise Refused("size", "", "an object of %d members" % len(items))
        out = {}
        for k, v in items:
            if k in out:
                raise Refused("duplicate", "", "member %r twice" % k)
            out[k] = v
        return out

    def integer(s):
        v = int(s) if len(s) < 20 else MAX_INT + 1
        if abs(v) > MAX_INT:
            raise Refused("json", "", "number %.40s" % s)
        return v

    def refuse(s):
        raise Refused("json", "", "number %.40s" % s)

    if sum(data.count(c) for c in (b"[", b"{", b",")) > MAX_VALUES:
        raise Refused("size", "", "too many values")
    try:
        text = data.decode("utf-8")
        v = json.loads(text, object_pairs_hook=pairs, parse_int=integer, parse_float=refuse, parse_constant=refuse)
        depth(v, 0)
        spelled = canonical(v)
    except RecursionError:
        raise Refused("size", "", "too many values within each other")
    except (ValueError, UnicodeError) as e:
        raise Refused("json", "", str(e))
    if spelled != data:
        raise Refused("canonical", "", "not the canonical spelling (RFC 8785)")
    return v


def depth(v, n):
    if v is None:
        raise Refused("json", "", "null")
    if n > MAX_DEPTH:
        raise Refused("size", "", "too many values within each other")
    for x in v.values() if isinstance(v, dict) else v if isinstance(v, list) else ():
        depth(x, n + 1)


def canonical(v):
    return spell(v).encode("utf-8")


ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def spell(v):
    if v is True:
        return "true"
    if v is False:
        return "false"
    if isinstance(v, int):
        return str(v)
    if isinstance(v, str):
        return '"' + re.sub(r'["\\\x00-\x1f]', lambda m: ESCAPES.get(m[0]) or "\\u%04x" % ord(m[0]), v) + '"'
    if isinstance(v, list):
        return "[" + ",".join(map(spell, v)) + "]"
    if isinstance(v, dict):
        keys = sorted(v, key=lambda k: k.encode("utf-16-be"))
        return "{" + ",".join(spell(k) + ":" + spell(v[k]) for k in keys) + "}"
    raise ValueError("a value that records do not have")


def sha(data):
    return hashlib.sha256(data).hexdigest()


def is_hex(s, size):
    return isinstance(s, str) and re.fullmatch("[0-9a-f]{%d}" % (2 * size), s) is not None


# ---------------------------------------------------------------- Ed25519 (RFC 8032)

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def point_add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def point_double(p):
    a, b, c = p[0] * p[0] % P, p[1] * p[1] % P, 2 * p[2] * p[2] % P
    h = a + b
    e, g = h - (p[0] + p[1]) * (p[0] + p[1]) % P, a - b
    f = c + g
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def two_mul(n, p, m, q):
    """Return n*p + m*q."""
    both, out = point_add(p, q), (0, 1, 1, 0)
    for i in reversed(range(max(n.bit_length(), m.bit_length()))):
        out = point_double(out)
        pick = (n >> i & 1) + 2 * (m >> i & 1)
        if pick:
            out = point_add(out, (p, q, both)[pick - 1])
    return out


def recover_x(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - x2) % P or x == 0 and sign:
        return None
    return P - x if x & 1 != sign else x


def decompress(b):
    n = int.from_bytes(b, "little")
    y, sign = n & (2**255 - 1), n >> 255
    if y >= P:
        return None
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def compress(p):
    z = pow(p[2], P - 2, P)
    x, y = p[0] * z % P, p[1] * z % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (recover_x(BASE_Y, 0), BASE_Y, 1, recover_x(BASE_Y, 0) * BASE_Y % P)


def ed25519(public, message, sig):
    if len(public) != 32 or len(sig) != 64:
        return False
    a, s = decompress(public), int.from_bytes(sig[32:], "little")
    if a is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(sig[:32] + public + message).digest(), "little") % L
    minus = (P - a[0], a[1], 1, P - a[3])
    return compress(two_mul(s, BASE, k, minus)) == sig[:32]


ED_DER = bytes.fromhex("302a300506032b6570032100")
PQ_DER = bytes.fromhex("30820532300b06096086480165030403110382052100")


def read_keys(path):
    """Return {key id: raw key} of a file of PEM blocks."""
    with open(path, encoding="ascii") as f:
        text = f.read()
    out = {}
    for body in re.findall("-----BEGIN PUBLIC KEY-----(.*?)-----END PUBLIC KEY-----", text, re.S):
        der = base64.b64decode("".join(body.split()), validate=True)
        for prefix, size in ((ED_DER, 32), (PQ_DER, 1312)):
            if der.startswith(prefix) and len(der) == len(prefix) + size:
                raw = der[len(prefix):]
                break
        else:
            raise ValueError("%s: neither an Ed25519 nor an ML-DSA-44 key" % path)
        out[sha(raw)] = raw
    if not out:
        raise ValueError("%s: no key" % path)
    return out


# ---------------------------------------------------------------- the form of a record

# A member is (type, required). An optional member that is empty must be left out.
STR, INT, BOOL, PRIVATE, MATCHES = "str", "int", "bool", "private", "matches"
TEXTS = {"": STR}  # an object with any names
FORM = {
    "envelope": {"payloadType": (STR, 1), "payload": (STR, 1), "signatures": (["signature"], 1), "proof": (STR, 0)},
    "signature": {"keyid": (STR, 1), "sig": (STR, 1)},
    "statement": {"_type": (STR, 1), "subject": (["subject"], 1), "predicateType": (STR, 1), "predicate": ("predicate", 1)},
    "subject": {"digest": ("digests", 1)},
    "digests": {"sha256": (STR, 0), "sha1": (STR, 0), "md5": (STR, 0), "commitment": (STR, 0), "scan": (STR, 0)},
    "predicate": {
        "id": (PRIVATE, 1), "verdict": (STR, 0), "input": ("input", 0), "engine": ("engine", 1), "rules": ("rules", 0),
        "policy": ("policy", 0), "derivation": (["step"], 0), "matches": (MATCHES, 0), "counts": ([INT], 0),
        "coverage": ("coverage", 0), "action": ("action", 0), "contest": ("contest", 0), "decision": ("decision", 0),
        "case": ("case", 0),
        "context": ("context", 1), "time": ("time", 1)},
    "input": {"size": (INT, 1), "type": (STR, 0)},
    "engine": {"version": (STR, 1), "binary": (STR, 1), "revision": (STR, 0), "go": (STR, 1), "target": (STR, 1)},
    "rules": {"database": (STR, 1), "source": (STR, 0), "rule": ("rule", 0)},
    "rule": {
        "language": (STR, 1), "name": (STR, 1), "index": (INT, 1), "digest": (STR, 1), "text": (STR, 0),
        "base64": (STR, 0), "file": (STR, 1), "line": (INT, 1), "allowed": (STR, 0), "stage": (STR, 0)},
    "policy": {"digest": (STR, 1), "limits": ("limits", 1), "options": (TEXTS, 0)},
    "limits": {k: (INT, 1) for k in ("file_size", "scan_size", "objects", "depth", "ratio", "work")},
    "step": {"index": (INT, 1), "op": (STR, 1), "params": (TEXTS, 0), "digest": ("digests", 1), "size": (INT, 1)},
    "match": {"pattern": (INT, 1), "offset": (INT, 1), "length": (INT, 1)},
    "coverage": {
        "objects": (INT, 1), "bytes": (INT, 1), "depth": (INT, 1), "work": (INT, 1), "complete": (BOOL, 1),
        "gaps": (["gap"], 0), "files": (INT, 0), "verdicts": ({"": INT}, 0), "inputs": (["looked"], 0),
        "part": (INT, 0), "parts": (INT, 0), "unrecorded": (INT, 0)},
    "gap": {"trail": (["gapstep"], 0), "code": (STR, 1), "offset": (INT, 1), "length": (INT, 1)},
    "gapstep": {"index": (INT, 1), "op": (STR, 1)},
    "looked": {"digest": ("digests", 0), "size": (INT, 1), "verdict": (STR, 1), "gaps": (["gap"], 0)},
    "action": {"deed": (STR, 1), "record": (STR, 1), "result": (STR, 1), "reason": (PRIVATE, 0), "detail": (TEXTS, 0)},
    "contest": {"record": (STR, 1), "reason": (PRIVATE, 1)},
    "decision": {"contest": (STR, 1), "record": (STR, 1), "outcome": (STR, 1), "reason": (PRIVATE, 1)},
    "case": {"name": (STR, 1), "act": (STR, 1), "after": ([STR], 0)},
    "context": {
        "path": (PRIVATE, 0), "paths": ([PRIVATE], 0), "host": (PRIVATE, 0), "user": (PRIVATE, 0), "scan": (STR, 0),
        "jail": (STR, 0), "keys": ([STR], 1)},
    "time": {"observed": (STR, 1)},
}


def fits(v, form, at):
    """Hold a value against a form; unknown members come first, as the first verifier has it."""
    unknown(v, form, at)
    shape(v, form, at)


def unknown(v, form, at):
    if isinstance(form, list) and isinstance(v, list):
        for i, x in enumerate(v):
            unknown(x, form[0], "%s/%d" % (at, i))
    elif form == MATCHES and isinstance(v, list):
        unknown(v, ["match"], at)
    elif isinstance(form, str) and form in FORM and isinstance(v, dict):
        for k in v:
            if k not in FORM[form]:
                raise Refused("field", at + "/" + k, "no member of the format")
            unknown(v[k], FORM[form][k][0], at + "/" + k)


def shape(v, form, at):
    def need(ok):
        if not ok:
            raise Refused("shape", at, "a value of the wrong type")

    if form == STR:
        need(isinstance(v, str))
    elif form == INT:
        need(isinstance(v, int) and not isinstance(v, bool))
    elif form == BOOL:
        need(isinstance(v, bool))
    elif form == PRIVATE:
        need(isinstance(v, str) or hidden(v))
    elif form == MATCHES:
        if not hidden(v):
            shape(v, ["match"], at)
    elif isinstance(form, list):
        need(isinstance(v, list))
        for i, x in enumerate(v):
            shape(x, form[0], "%s/%d" % (at, i))
    elif isinstance(form, dict):
        need(isinstance(v, dict))
        for k in v:
            shape(v[k], form[""], at + "/" + k)
    else:
        need(isinstance(v, dict))
        for k, (t, required) in FORM[form].items():
            if k not in v:
                if required:
                    raise Refused("shape", at + "/" + k, "missing")
                continue
            shape(v[k], t, at + "/" + k)
            if not required and (v[k] in ("", [], {}) or v[k] == 0) and t != MATCHES:
                raise Refused("shape", at + "/" + k, "an empty member, which must be left out")


def hidden(v):
    return isinstance(v, dict) and list(v) == ["commitment"]


PRIVATE_AT = (
    "subject/0/digest", "predicate/id", "predicate/derivation/*/digest", "predicate/matches",
    "predicate/coverage/inputs/*/digest", "predicate/action/reason", "predicate/contest/reason",
    "predicate/decision/reason", "predicate/context/path", "predicate/context/paths/*", "predicate/context/host",
    "predicate/context/user")


def private_fields(statement):
    """Yield (pointer, holder, key) of every place that must be a commitment in the payload."""
    def down(v, path, at):
        key, rest = path[0], path[1:]
        if key == "*" or key == "0":
            keys = range(len(v) if key == "*" else min(1, len(v))) if isinstance(v, list) else ()
        else:
            keys = [key] if isinstance(v, dict) and key in v else ()
        for k in keys:
            if rest:
                yield from down(v[k], rest, "%s/%s" % (at, k))
            elif at != "/subject/0" or not isinstance(v[k], dict) or list(v[k]) != ["scan"]:
                yield "%s/%s" % (at, k), v, k
    for path in PRIVATE_AT:
        yield from down(statement, path.split("/"), "")


class Record:
    def __init__(self, data):
        if len(data) > MAX_FILE:
            raise Refused("size", "", "%d bytes" % len(data))
        if not data.endswith(b"\n"):
            raise Refused("canonical", "", "no line end at the end")
        file = parse(data[:-1])
        disclosures = self.disclosures(file)
        fits(file, "envelope", "")
        self.payload = decode64(file["payload"], "/payload")
        self.signatures = [(s["keyid"], decode64(s["sig"], "/signatures")) for s in file["signatures"]]
        self.proof = file.get("proof", "")
        if file["payloadType"] != PAYLOAD_TYPE:
            raise Refused("type", "/payloadType", file["payloadType"][:100])
        ids = [k for k, _ in self.signatures]
        if len(ids) > 4:
            raise Refused("size", "/signatures", "%d signatures" % len(ids))
        if not all(is_hex(k, 32) for k in ids) or sorted(set(ids)) != ids:
            raise Refused("value", "/signatures", "key ids: no SHA-256 in hexadecimal, or out of order")
        self.hidden, self.problems = [], []
        self.open(disclosures)

    def disclosures(self, file):
        if not isinstance(file, dict):
            raise Refused("shape", "", "no object")
        if "disclosures" not in file:
            return {}
        items, out, last = file.pop("disclosures"), {}, None
        if not isinstance(items, list) or not items:
            raise Refused("shape", "/disclosures", "not a list, or an empty one")
        if len(items) > MAX_DISCLOSED:
            raise Refused("size", "/disclosures", "%d disclosures" % len(items))
        for d in items:
            if not isinstance(d, dict) or not {"at", "salt", "value"} <= d.keys() \
                    or not isinstance(d["at"], str) or not isinstance(d["salt"], str):
                raise Refused("shape", "/disclosures", "want the members at, salt and value")
            if len(d) != 3:
                raise Refused("field", "/disclosures", "a member besides at, salt and value")
            if not is_hex(d["salt"], 32):
                raise Refused("value", "/disclosures", "a salt that is not 32 bytes in hexadecimal")
            if last is not None and d["at"].encode() <= last.encode():
                raise Refused("disclosure", "/disclosures", "out of order, or twice")
            last = d["at"]
            out[last] = d
        return out

    def open(self, disclosures):
        """Put the disclosed values in the places of their commitments."""
        statement = parse(self.payload)
        for at, holder, key in list(private_fields(statement)):
            c = holder[key]
            if not isinstance(c, dict) or list(c) != ["commitment"] or not isinstance(c["commitment"], str):
                self.problems.append(("commitment", at, "a clear value where the payload must have a commitment"))
                continue
            d = disclosures.pop(at, None)
            if d is None:
                self.hidden.append(at)
            elif sha(b"\0" + bytes.fromhex(d["salt"]) + canonical(d["value"])) != c["commitment"]:
                self.problems.append(("commitment", at, "the disclosed value is not the one committed to"))
            elif isinstance(d["value"], dict) and "commitment" in d["value"]:
                self.problems.append(("disclosure", at, "discloses another commitment"))
            else:
                holder[key] = d["value"]
        for at in disclosures:
            self.problems.append(("disclosure", at[:100], "no commitment of the payload"))
        if self.problems:
            return
        fits(statement, "statement", "")
        if statement["_type"] != STATEMENT_TYPE:
            raise Refused("type", "/_type", statement["_type"][:100])
        m = re.fullmatch(r"https://showcause\.dev/([a-z]+)/v1", statement["predicateType"])
        if not m or m[1] not in KINDS:
            raise Refused("type", "/predicateType", statement["predicateType"][:100])
        if len(statement["subject"]) != 1:
            raise Refused("shape", "/subject", "%d subjects, want 1" % len(statement["subject"]))
        self.kind, self.statement = m[1], statement


def decode64(s, at):
    try:
        b = base64.b64decode(s, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("shape", at, "not base64")
    if base64.b64encode(b).decode() != s:
        raise Refused("shape", at, "base64 that is spelled otherwise")
    return b


# ---------------------------------------------------------------- what a record says

GAP_CODES = ("encrypted", "unsupported", "corrupt", "ambiguous", "changed", "unreadable", "crash")
WORD = re.compile(r"[A-Za-z0-9._+/-]{1,128}")
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class Check:
    def __init__(self, record):
        self.r, self.kind = record, record.kind
        self.subject = record.statement["subject"][0]["digest"]
        self.p = record.statement["predicate"]
        self.problems, self.notes = [], []

    def bad(self, code, where, text):
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append((code, where, text))

    def note(self, code, where, text):
        self.notes.append((code, where, text))

    def run(self):
        self.members()
        if self.problems:
            return
        self.values()
        self.policy()
        self.matches()
        if self.kind == "finding":
            self.finding_coverage()
        elif self.kind == "coverage":
            self.scan_coverage()
        self.id()

    def members(self):
        want = {
            "finding": ("verdict", "input", "rules", "policy", "coverage"),
            "coverage": ("verdict", "rules", "policy", "coverage"),
            "action": ("action",), "contest": ("contest",), "decision": ("decision",),
            "case": ("case", "input")}[self.kind]
        may = {"finding": ("derivation", "matches", "counts"), "coverage": ()}.get(self.kind, ("input",))
        for k in FORM["predicate"]:
            if k in ("id", "engine", "context", "time"):
                continue
            if k in self.p and k not in want + may:
                self.bad("shape", "/predicate/" + k, "not of this kind of record")
            elif k not in self.p and k in want:
                self.bad("shape", "/predicate/" + k, "missing")
        finding, scan = self.kind == "finding", self.kind == "coverage"
        if self.p["id"] == "":
            self.bad("shape", "/predicate/id", "missing")
        if "rules" in self.p and ("rule" in self.p["rules"]) != finding:
            self.bad("shape", "/predicate/rules/rule", "missing, or not of this kind of record")
        c = self.p.get("coverage", {})
        if finding and {"files", "verdicts", "inputs", "part", "parts", "unrecorded"} & c.keys():
            self.bad("shape", "/predicate/coverage", "members that only the record of a scan has")
        if scan != ("scan" in self.subject) or scan and len(self.subject) != 1:
            self.bad("shape", "/subject/0/digest", "the name of a scan is the subject of its coverage and of nothing else")
        x = self.p["context"]
        if scan and (x.get("scan") != self.subject.get("scan") or "path" in x):
            self.bad("shape", "/predicate/context", "want the scan's name, and no path")
        if "paths" in x and (not scan or len(x["paths"]) != len(c.get("inputs", ()))):
            self.bad("shape", "/predicate/context/paths", "want one of each input")

    # Values.

    def least(self, at, v, least=0):
        if not least <= v <= MAX_INT:
            self.bad("value", at, "%d, want %d or more" % (v, least))

    def hex(self, at, s, may=False, size=32):
        if not is_hex(s, size) and not (may and s == ""):
            self.bad("value", at, "want %d bytes in lower-case hexadecimal" % size)

    def digests(self, at, d):
        if "commitment" in d:
            if len(d) > 1:
                self.bad("shape", at, "something beside a commitment")
            self.hex(at, d["commitment"])
        elif "scan" in d:
            self.hex(at, d["scan"])
            if len(d) > 1 or at != "/subject/0/digest":
                self.bad("shape", at, "the name of a scan where it has no place")
        else:
            self.hex(at, d.get("sha256", ""))
            self.hex(at, d.get("sha1", ""), True, 20)
            self.hex(at, d.get("md5", ""), True, 16)

    def private(self, at, v, may=False):
        if isinstance(v, dict):
            self.hex(at, v["commitment"])
        elif v == "":
            if not may:
                self.bad("shape", at, "missing, or empty")
        elif len(v.encode()) > 64 << 10 or CONTROL.search(v):
            self.bad("value", at, "a control character, or too long")

    def label(self, at, s, may=False):
        if s == "" and not may or len(s.encode()) > 4096 or CONTROL.search(s):
            self.bad("value", at, "empty, too long, or with a control character")

    def word(self, at, s, may=False):
        if not (s == "" and may) and not WORD.fullmatch(s):
            self.bad("value", at, "%.40r is no word of the format" % s)

    def words(self, at, m):
        if len(m) > 256:
            self.bad("value", at, "%d members, at most 256" % len(m))
        for k in m:
            self.word(at, k)
            self.label(at + "/" + k, m[k], True)

    def values(self):
        p, at = self.p, "/predicate"
        if not hidden(p["id"]):
            self.hex(at + "/id", p["id"])
        self.digests("/subject/0/digest", self.subject)
        if "verdict" in p and p["verdict"] not in VERDICTS:
            self.bad("value", at + "/verdict", "%.40r" % p["verdict"])
        if "input" in p:
            self.least(at + "/input/size", p["input"]["size"])
            self.word(at + "/input/type", p["input"].get("type", ""), True)
        for k in ("version", "go", "target"):
            self.label(at + "/engine/" + k, p["engine"][k])
        self.hex(at + "/engine/binary", p["engine"]["binary"])
        self.label(at + "/engine/revision", p["engine"].get("revision", ""), True)
        self.rules()
        if len(p.get("derivation", ())) > 1000:
            self.bad("value", at + "/derivation", "more than 1000 steps")
        for i, d in enumerate(p.get("derivation", ())):
            w = "%s/derivation/%d" % (at, i)
            self.least(w + "/index", d["index"])
            self.word(w + "/op", d["op"])
            self.words(w + "/params", d.get("params", {}))
            self.digests(w + "/digest", d["digest"])
            self.least(w + "/size", d["size"])
        self.deeds()
        x = p["context"]
        for k in ("path", "host", "user"):
            self.private("%s/context/%s" % (at, k), x.get(k, ""), True)
        for i, v in enumerate(x.get("paths", ())):
            self.private("%s/context/paths/%d" % (at, i), v)
        self.hex(at + "/context/scan", x.get("scan", ""), True)
        self.word(at + "/context/jail", x.get("jail", ""), True)
        if not 1 <= len(x["keys"]) <= 4 or not all(is_hex(k, 32) for k in x["keys"]) or sorted(set(x["keys"])) != x["keys"]:
            self.bad("value", at + "/context/keys", "want 1 to 4 key ids in order")
        try:
            if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", p["time"]["observed"]):
                raise ValueError
            year = int(p["time"]["observed"][:4])  # year 0 is one for RFC 3339, not for datetime
            datetime.datetime.strptime(("2000" if year == 0 else "%04d" % year) + p["time"]["observed"][4:], "%Y-%m-%dT%H:%M:%SZ")
        except ValueError:
            self.bad("value", at + "/time/observed", "want RFC 3339, UTC, whole seconds")

    def rules(self):
        r, at = self.p.get("rules"), "/predicate/rules/"
        if r is None:
            return
        self.hex(at + "database", r["database"])
        self.hex(at + "source", r.get("source", ""), True)
        r, at = r.get("rule"), at + "rule/"
        if r is None:
            return
        if r["language"] not in ("clamav", "yara"):
            self.bad("value", at + "language", "%.40r, want clamav or yara" % r["language"])
        self.label(at + "name", r["name"])
        self.label(at + "file", r["file"], True)
        self.label(at + "allowed", r.get("allowed", ""), True)
        if r.get("stage", "act") not in ("shadow", "report", "act"):
            self.bad("value", at + "stage", "%.40r, want shadow, report or act" % r["stage"])
        self.least(at + "index", r["index"])
        self.least(at + "line", r["line"])
        self.hex(at + "digest", r["digest"])
        text, coded = r.get("text", ""), r.get("base64", "")
        if len(text.encode()) > 1 << 20 or len(coded) > (1 << 20) // 3 * 4 + 4:
            self.bad("value", at + "text", "longer than 1 MiB")
        if text and coded:
            self.bad("shape", at + "base64", "beside a text")
        raw = text.encode()
        if coded:
            try:
                raw = decode64(coded, at + "base64")
                raw.decode("utf-8")
                self.bad("value", at + "base64", "a text that is UTF-8")
            except Refused:
                self.bad("value", at + "base64", "not base64")
                return
            except UnicodeError:
                pass
        self.text = raw
        if raw and sha(raw) != r["digest"]:
            self.bad("rule.digest", at + "digest", "the text's is " + sha(raw))

    def deeds(self):
        a = self.p.get("action")
        if a:
            self.word("/predicate/action/deed", a["deed"])
            self.hex("/predicate/action/record", a["record"])
            self.word("/predicate/action/result", a["result"])
            self.private("/predicate/action/reason", a.get("reason", ""), True)
            self.words("/predicate/action/detail", a.get("detail", {}))
        for name in ("contest", "decision"):
            d, at = self.p.get(name), "/predicate/" + name
            if d:
                self.hex(at + "/record", d["record"])
                self.private(at + "/reason", d["reason"])
        if "decision" in self.p:
            self.hex("/predicate/decision/contest", self.p["decision"]["contest"])
            if self.p["decision"]["outcome"] not in ("upheld", "withdrawn"):
                self.bad("value", "/predicate/decision/outcome", "want upheld or withdrawn")
        c, at = self.p.get("case"), "/predicate/case/"
        if c:
            after = c.get("after", [])
            self.hex(at + "name", c["name"])
            self.word(at + "act", c["act"])
            for a in after:
                self.hex(at + "after", a)
            if len(after) > 256 or sorted(set(after)) != after:
                self.bad("value", at + "after", "more than 256, out of order, or one twice")

    def policy(self):
        p = self.p.get("policy")
        if p is None:
            return
        self.words("/predicate/policy/options", p.get("options", {}))
        for k, v in p["limits"].items():
            self.least("/predicate/policy/limits/" + k, v)
        want = sha(canonical({k: v for k, v in p.items() if k != "digest"}))
        if p["digest"] != want:
            self.bad("policy", "/predicate/policy/digest", "that of limits and options is " + want)

    def id(self):
        p = {k: v for k, v in self.p.items() if k not in ("id", "time", "action", "context")}
        body = dict(self.r.statement, predicate=p)
        if hidden(self.p["id"]) or any(not at.startswith(("/predicate/id", "/predicate/context", "/predicate/action")) for at in self.r.hidden):
            return
        if self.p["id"] != sha(canonical(body)):
            self.bad("id", "/predicate/id", "not the SHA-256 of the reproducible part")

    # Matches and coverage.

    def last(self):
        d = self.p.get("derivation")
        return d[-1]["size"] if d else self.p["input"]["size"]

    def matches(self):
        counts, m = self.p.get("counts", []), self.p.get("matches")
        if len(counts) > 1 << 16:
            self.bad("count", "/predicate/counts", "of too many patterns")
        for i, n in enumerate(counts):
            self.least("/predicate/counts/%d" % i, n)
        if m is None:
            return
        if hidden(m):
            self.hex("/predicate/matches", m["commitment"])
            return
        size, seen, before = self.last(), {}, None
        for i, x in enumerate(m):
            at = "/predicate/matches/%d" % i
            k, off, n = x["pattern"], x["offset"], x["length"]
            if not 0 <= k < 1 << 16 or off < 0 or n < 0 or off + n > size:
                self.bad("match", at, "%d bytes at %d in a layer of %d" % (n, off, size))
            if before is not None and (k, off, n) <= before:
                self.bad("match", at, "out of order")
            before, seen[k] = (k, off, n), seen.get(k, 0) + 1
            if seen[k] == MAX_MATCHES + 1:
                self.bad("match", at, "too many of a pattern")
            if counts and not 0 <= k < len(counts):
                self.bad("count", at, "pattern %d, and counts of %d" % (k, len(counts)))
        for i, n in enumerate(counts):
            have = seen.get(i, 0)
            if n < have or n > have and have < MAX_MATCHES:
                self.bad("count", "/predicate/counts/%d" % i, "%d, and %d matches are recorded" % (n, have))

    def gaps(self, at, gaps, size):
        unread = False
        if len(gaps) > 1 << 20:
            self.bad("coverage", at, "too many gaps")
        for i, g in enumerate(gaps):
            w = "%s/%d" % (at, i)
            self.least(w + "/offset", g["offset"])
            self.least(w + "/length", g["length"], -1)
            code = g["code"]
            if not WORD.fullmatch(code) or code.split(".")[0] not in GAP_CODES and not code.startswith("limit."):
                self.bad("value", w + "/code", "%.40r" % code)
            trail = g.get("trail", ())
            if not trail and size >= 0 and g["offset"] > size:
                self.bad("coverage", w + "/offset", "%d in a file of %d bytes" % (g["offset"], size))
            if len(trail) > 1000 or not all(0 <= s["index"] <= MAX_INT and WORD.fullmatch(s["op"]) for s in trail):
                self.bad("trail", w + "/trail", "no trail")
            unread = unread or not code.startswith("ambiguous")
        return unread

    def sums(self, c):
        for k in ("objects", "bytes", "depth", "work"):
            self.least("/predicate/coverage/" + k, c[k])

    def finding_coverage(self):
        p, c, at = self.p, self.p["coverage"], "/predicate/coverage"
        unread = self.gaps(at + "/gaps", c.get("gaps", ()), p["input"]["size"])
        if c["complete"] == unread:
            self.bad("coverage", at + "/complete", "the gaps say otherwise")
        steps = [d for d in p.get("derivation", ()) if not d["op"].startswith("view.")]
        total = p["input"]["size"] + sum(d["size"] for d in steps)
        if c["objects"] < 1 + len(steps) or c["depth"] < len(steps):
            self.bad("coverage", at, "fewer objects or less depth than on the way to the finding")
        if c["complete"] and c["bytes"] < total or total > MAX_INT:
            self.bad("coverage", at + "/bytes", "less than on the way to the finding")
        self.sums(c)
        may = {"found"}
        if "allowed" in p["rules"]["rule"] or p["rules"]["rule"].get("stage") == "shadow":
            may.add("nothing-found" if c["complete"] else "incomplete")
        if p["verdict"] not in may:
            self.bad("verdict", "/predicate/verdict", "does not follow from the finding and the gaps")

    def scan_coverage(self):
        c, at = self.p["coverage"], "/predicate/coverage"
        self.sums(c)
        files, verdicts, inputs = c.get("files", 0), c.get("verdicts", {}), c.get("inputs", ())
        part, parts = c.get("part", 0), c.get("parts", 0)
        self.least(at + "/files", files)
        self.least(at + "/unrecorded", c.get("unrecorded", 0))
        if not 0 <= part <= parts or (part == 0) != (parts == 0):
            self.bad("coverage", at + "/part", "part %d of %d" % (part, parts))
        for k, n in verdicts.items():
            if k not in VERDICTS or n < 1:
                self.bad("coverage", at + "/verdicts/" + k, "%d files" % n)
                return
        if sum(verdicts.values()) != files:
            self.bad("coverage", at + "/files", "%d, and the verdicts are %d" % (files, sum(verdicts.values())))
        if c["objects"] < files - verdicts.get("error", 0):
            self.bad("coverage", at + "/objects", "less than the files that were read")
        worst = max([VERDICTS.index(k) for k in verdicts], default=0)
        unread = self.gaps(at + "/gaps", c.get("gaps", ()), -1)
        listed = dict.fromkeys(VERDICTS, 0)
        for i, x in enumerate(inputs):
            if x["verdict"] in listed:
                listed[x["verdict"]] += 1
            unread = self.looked("%s/inputs/%d" % (at, i), x) or unread
        for k, n in listed.items():
            have = verdicts.get(k, 0)
            if n > have or n < have and k in ("incomplete", "error"):
                self.bad("coverage", at + "/inputs", "%d files are %s, and %d are listed" % (have, k, n))
        if c["complete"] == unread:
            self.bad("coverage", at + "/complete", "the gaps say otherwise")
        if unread:
            worst = max(worst, 1)
        if self.p["verdict"] != VERDICTS[worst]:
            self.bad("verdict", "/predicate/verdict", "want " + VERDICTS[worst])

    def looked(self, at, x):
        if "digest" in x:
            self.digests(at + "/digest", x["digest"])
        self.least(at + "/size", x["size"], -1)
        unread = self.gaps(at + "/gaps", x.get("gaps", ()), x["size"])
        if x["verdict"] == "error":
            return True
        if x["verdict"] not in VERDICTS:
            self.bad("value", at + "/verdict", "%.40r" % x["verdict"])
        elif x["verdict"] != "found" and unread != (x["verdict"] == "incomplete"):
            self.bad("verdict", at + "/verdict", "the gaps say otherwise")
        if not x.get("gaps"):
            self.bad("coverage", at + "/gaps", "a file without a gap or an error")
        return unread

    # Conditions of ClamAV signatures.

    def condition(self):
        r, at = self.p["rules"]["rule"], "/predicate/rules/rule"
        if not self.text:
            return self.note("no-text", at, "the rule's text is not in the record")
        if r["language"] == "yara":
            return self.note("reads-file", at, "conditions of YARA rules are not evaluated here")
        kind = kind_of(r["file"])
        if kind == "cbc":
            return self.note("reads-file", at, "a program: recheck")
        if kind in ("cdb", "zmd", "rmd", "crb"):
            return self.note("reads-file", at, "members of a container, or certificates: recheck")
        if r["file"] == "heuristics.heu":
            if re.split(b"[;\n]", self.text)[0] != r["name"].encode("utf-8"):
                self.bad("rule.name", at + "/name", "not the text's")
            return self.note("reads-file", at, "a heuristic: recheck")
        try:
            sig = Signature(kind, self.text.decode("latin-1"))
        except Malformed as e:
            return self.bad("rule.text", at + "/text", str(e))
        except Unfit as e:
            return self.note("reads-file", at, "not evaluated: %s: recheck" % e)
        plain = r["name"][:-len(".UNOFFICIAL")] if r["name"].endswith(".UNOFFICIAL") else r["name"]
        if plain != escape(sig.name.encode("latin-1")):
            self.bad("rule.name", at + "/name", "the text's is %.100r" % sig.name)
        if sig.tree is None:
            return self.exact(sig, kind)
        if sig.size and not sig.size[0] <= self.last() <= sig.size[1]:
            self.bad("condition", at, "is for layers of %d to %d bytes" % sig.size)
        if sig.guarded:
            self.note("guard", at, "asks what kind of file it is, or is in: recheck")
        self.evaluate(sig)

    def hits(self):
        """Return the counts of matches, and the patterns that may have more; None if hidden."""
        if "counts" in self.p:
            return dict(enumerate(self.p["counts"])), set()
        m = self.p.get("matches", [])
        if hidden(m):
            return None, None
        counts = {}
        for x in m:
            counts[x["pattern"]] = counts.get(x["pattern"], 0) + 1
        return counts, {k for k, n in counts.items() if n >= MAX_MATCHES}

    def evaluate(self, sig):
        at, m, anchors = "/predicate/rules/rule", self.p.get("matches", []), sig.anchors
        for i, x in enumerate(() if hidden(m) else m):
            w = "/predicate/matches/%d" % i
            if x["pattern"] >= len(anchors):
                self.bad("match", w, "of a pattern that the rule does not have")
                continue
            a = anchors[x["pattern"]]
            if isinstance(a, tuple):
                low = self.last() - a[1] if a[0] else a[1]
                if not low <= x["offset"] <= low + a[2]:
                    self.bad("match", w, "not where the rule asks for it")
        counts, cut = self.hits()
        if counts is None:
            return
        if "counts" in self.p and len(self.p["counts"]) != len(anchors):
            return self.bad("count", "/predicate/counts", "not of the patterns of the rule")
        asked = needs(sig.tree)
        if any(asked.get(k, 0) > MAX_MATCHES for k in cut):
            return self.note("cut", "/predicate/matches", "more than are recorded may matter: recheck")
        if holds(sig.tree, counts)[0]:
            self.note("condition", at, "holds with the matches recorded")
        else:
            self.bad("condition", at, "does not hold with the matches recorded")

    def exact(self, sig, kind):
        at, m, want, digest = "/predicate/rules/rule", self.p.get("matches"), sig.digest_size, sig.digest
        section = kind.startswith("m")
        if kind in ("fp", "sfp"):
            self.bad("condition", at, "a rule of an allow-list, which finds nothing")
        if section or kind == "imp":
            self.note("reads-file", at, "a digest of a part of the layer: recheck")
            if section and m is not None and not hidden(m) and (len(m) != 1 or want is not None and m[0]["length"] != want):
                self.bad("condition", at, "asks for a section of %s bytes" % want)
            return
        if m is not None and not hidden(m) and m != [{"pattern": 0, "offset": 0, "length": self.last()}]:
            self.bad("match", "/predicate/matches", "want the whole layer, and nothing else")
        if want is not None and want != self.last():
            self.bad("condition", at, "asks for %d bytes, and the layer has %d" % (want, self.last()))
        d = self.p.get("derivation")
        layer = d[-1]["digest"] if d else self.subject
        have = layer.get({32: "md5", 40: "sha1", 64: "sha256"}[len(digest)])
        if hidden(layer):
            return
        if have is None:
            self.note("reads-file", at, "asks for a digest that the record does not have: recheck")
        elif have != digest:
            self.bad("condition", at, "asks for another digest than the layer has")
        else:
            self.note("condition", at, "the layer has the digest that the rule asks for")

    # Signatures and proofs.

    def signatures(self, keys):
        message = b"DSSEv1 %d %s %d " % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(self.r.payload)) + self.r.payload
        named, signer, false = self.p["context"]["keys"], None, False
        for i, (kid, sig) in enumerate(self.r.signatures):
            at = "/signatures/%d" % i
            if kid not in named:
                self.bad("signature.foreign", at, "by a key that the payload does not name")
            elif kid not in keys or len(keys[kid]) != 32:
                self.note("key", at, "by a key that was not given, or by ML-DSA-44: not checked")
            elif not ed25519(keys[kid], message, sig):
                false = True
                self.bad("signature", at, "not a signature of the payload by key " + kid)
            elif signer is None:
                signer = keys[kid]
        for kid in named:
            if kid not in [k for k, _ in self.r.signatures]:
                self.bad("signature.missing", "/signatures", "none by key %s, which the payload names" % kid)
        if signer is None and not false:
            self.bad("signature.unknown", "/signatures", "none is by an Ed25519 key that was given")
        return signer

    def proof(self, signer, need):
        if not self.r.proof:
            if need:
                self.bad("proof.missing", "/proof", "missing")
            else:
                self.note("no-proof", "/proof", "no proof that a log has the record")
            return
        if signer is None:
            return self.note("proof", "/proof", "not checked: no key")
        try:
            check_proof(self.r.proof, hashlib.sha256(self.r.payload).digest(), signer)
        except (ValueError, IndexError, binascii.Error) as e:
            self.bad("proof", "/proof", str(e))


# ---------------------------------------------------------------- ClamAV signatures

class Malformed(ValueError):
    """A text that is no signature."""


class Unfit(Exception):
    """A signature that no scanner of ours loads, or that is no matter of bodies: its condition is not evaluated."""


HASHES = ("hdb", "hsb", "hdu", "hsu", "mdb", "msb", "mdu", "msu", "imp", "fp", "sfp")
BODIES = ("ndb", "ndu", "sdb")
LOGICAL = ("ldb", "ldu")
LEVEL = 216  # functionality level of ClamAV 1.4.6
ANY, PE, MAIL, ELF, ASCII, UNUSED, MACHO, TARGETS, KNOWN_TARGETS = 0, 1, 4, 6, 7, 8, 9, 13, 15
BLANKS = " \t\v\f\r\n"
LEADING = re.compile("[ \t\v\f\r\n]*\\+?([0-9]+)")
UNIT = re.compile("[0-9A-Fa-f?]{2}")
LITERAL = re.compile("(?:[0-9A-Fa-f]{2})*")
FILE_TYPES = frozenset(
    """7Z 7ZSFX ALZ ANY APM ARJ ARJSFX AUTOIT BINARY_DATA BINHEX BZ CABSFX CPIO_CRC CPIO_NEWC CPIO_ODC CPIO_OLD
    CRYPTFF DMG EGG EGGSFX ELF GIF GPT GRAPHICS GZ HTML HTML_UTF16 HWP3 HWPOLE2 IGNORED INTERNAL ISHIELD_MSI ISO9660
    JAVA JPEG LHA_LZH LNK MACHO MACHO_UNIBIN MAIL MBR MHTML MSCAB MSCHM MSEXE MSOLE2 MSSZDD NULSFT OLD_TAR ONENOTE
    OOXML_HWP OOXML_PPT OOXML_WORD OOXML_XL PART_ANY PART_HFSPLUS PDF PNG POSIX_TAR PS PYTHON_COMPILED RAR RARSFX
    RIFF RTF SCRENC SCRIPT SFX SIS SWF TEXT_ASCII TEXT_UTF16BE TEXT_UTF16LE TEXT_UTF8 TIFF TNEF UDF UUENCODED XAR
    XDP XML_HWP XML_WORD XML_XL XZ ZIP ZIPSFX""".split())


def need(ok, why):
    if not ok:
        raise Malformed(why)


def clamp(digits):
    """Return the value of digits, of which there may be none, at most 2^58."""
    digits = digits.lstrip("0")
    return 1 << 58 if len(digits) > 18 else min(int(digits or 0), 1 << 58)


def decimal(s):
    """Read digits and nothing else; none are 0."""
    need(re.fullmatch("[0-9]*", s), "%.40r is no number" % s)
    return clamp(s)


def leading(s):
    """Return (number, rest), or (None, s) if s does not begin with a number."""
    m = LEADING.match(s)
    return (clamp(m[1]), s[m.end():]) if m else (None, s)


def kind_of(file):
    """Return the kind of signature by the name of its file."""
    base = file.rstrip("/").rsplit("/", 1)[-1]
    kind = base.rpartition(".")[2] if "." in base else ""
    return kind.lower() if kind.isascii() else ""


def escape(raw):
    """Return a name as records have it: printable."""
    out = []
    for c in raw.decode("utf-8", "surrogateescape"):
        n = ord(c)
        if 0xdc80 <= n <= 0xdcff:
            out.append("\\x%02x" % (n - 0xdc00))
        elif c in "\\\n\r\t":
            out.append({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}[c])
        elif c.isprintable():
            out.append(c)
        else:
            out.append("\\x%02x" % n if n < 0x80 else "\\u%04x" % n if n <= 0xffff else "\\U%08x" % n)
    return "".join(out)


def clean_name(s):
    name = s.split(" (Clam)")[0]
    need(name, "no name")
    return name


class Signature:
    """One signature out of its text, which is bytes as latin-1."""

    def __init__(self, kind, text):
        self.tree, self.anchors, self.size, self.guarded = None, [], None, False
        self.digest, self.digest_size = "", None
        need(not re.search("[\0\n\r]", text) and not text.startswith("#"), "not one line with a signature")
        if kind in LOGICAL:
            self.logical(text)
        elif kind in BODIES:
            self.body(text)
        elif kind in HASHES:
            self.hash(text, kind)
        else:
            raise Malformed("no kind of ClamAV database by the name of its file")

    def hash(self, text, kind):
        f = text.split(":")
        need(3 <= len(f) <= 5, "not 3 to 5 fields")
        section = kind.startswith("m")
        digest, size = (f[1], f[0]) if section else (f[0], f[1])
        low = leading(f[3])[0] or 0 if len(f) > 3 else 0
        if low > LEVEL or len(f) > 4 and (leading(f[4])[0] or 0) < LEVEL:
            raise Unfit("for other functionality levels")
        if size == "*":
            need(kind == "imp" or low >= 73, "any size, without a level of 73 or more")
        else:
            n, rest = leading(size)
            need(n and not rest and n < 2**32 - 1, "size")
            self.digest_size = n
        self.name = clean_name(f[2])
        need(len(digest) in (32, 40, 64) and re.fullmatch("[0-9A-Fa-f]*", digest), "hash")
        self.digest = digest.lower()

    def body(self, text):
        f = text.split(":")
        need(4 <= len(f) <= 6, "not 4 to 6 fields")
        for i, level in enumerate(f[4:]):
            n = decimal(level)
            if i == 0 and n > LEVEL or i == 1 and n < LEVEL:
                raise Unfit("for other functionality levels")
        target = 0 if f[1] == "*" else decimal(f[1])
        if target >= KNOWN_TARGETS:
            raise Unfit("target")
        self.name, self.guarded = clean_name(f[0]), target != ANY
        need(not f[2].startswith("$"), "a member of a macro group")
        unfit = self.add(f[2], f[3], "", target, plain=True) or unusable(target)
        if unfit:
            raise unfit
        self.tree = ("count", 0, ">", 0)

    def add(self, off, sig, modifiers, target, plain=False):
        """Add a pattern; return why it is unfit, or None."""
        unfit, anchor = None, None
        need(not modifiers.strip("iwaf"), "modifier")
        try:
            anchor = offset(off, target)
        except Unfit as e:
            unfit = e
        if plain and (target == ANY or target == PE and off != "*" and not re.search("[,$]|VI", off)):
            need(len(sig) >= 6 or re.search("[?(\\[*{]", sig), "a body of less than 3 bytes")
        try:
            if "w" in modifiers:
                Body(sig, modifiers, True, target)
            if "w" not in modifiers or "a" in modifiers:
                Body(sig, modifiers, False, target)
        except Unfit as e:
            unfit = unfit or e
        self.anchors.append(anchor)
        return unfit

    def logical(self, text):
        f = split_logical(text)
        need(len(f) >= 4, "not 4 fields")
        need(len(f) <= 3 + 64, "more than 64 subsignatures")
        tree, top = expression(f[2])
        need(top + 1 == len(f) - 3, "not as many subsignatures as the expression asks for")
        target, unfit = self.description(f[1])
        self.name = clean_name(f[0])
        for i, s in enumerate(f[3:]):
            unfit = self.sub(s, target, i) or unfit
        unfit = unfit or unusable(target)
        if unfit:
            raise unfit
        need(height(tree) <= 64, "an expression that is too deep")
        self.tree = tree

    def description(self, s):
        """Read the attributes; return (target, why it is unfit or None)."""
        target, engine, icon, new, sections, unfit = None, None, False, False, False, None
        for i, item in enumerate(s.split(",")):
            key, colon, value = item.partition(":")
            need(colon, "attribute")
            if i == 10:
                raise Unfit("more than 10 attributes")
            new = new or key not in ("Engine", "Target")
            if key == "Engine":
                need(i == 0, "Engine is not the first attribute")
                engine = span(value)
            elif key == "Target":
                target = decimal(value)
            elif key == "FileSize":
                self.size = span(value)
            elif key in ("EntryPoint", "NumberOfSections"):
                span(value)
                sections = self.guarded = True
            elif key in ("Container", "Intermediates", "HandlerType"):
                names = value.split(">") if key == "Intermediates" else [value]
                if len(names) > 16 or not all(n.startswith("CL_TYPE_") and n[8:] in FILE_TYPES for n in names):
                    raise Unfit("file type")
                self.guarded = self.guarded or key != "HandlerType"
            elif key in ("IconGroup1", "IconGroup2"):
                icon, unfit = True, Unfit("icon")
            else:
                raise Unfit("an attribute that nobody knows")
        need(not new or engine and engine[0] >= 51, "attributes that ask for an Engine of 51 or more")
        if engine and not engine[0] <= LEVEL <= engine[1]:
            raise Unfit("for other functionality levels")
        need(target is not None, "no target")
        if target >= KNOWN_TARGETS:
            raise Unfit("target")
        need(not icon or target == PE, "icon group")
        need(not sections or target in (PE, ELF, MACHO), "entry point or sections")
        self.guarded = self.guarded or target != ANY
        return target, unfit

    def sub(self, s, target, index):
        """Read a subsignature; return why it is unfit, or None."""
        if s.startswith("$"):
            m = re.fullmatch("\\$\\{%s-%s\\}%s.*\\$" % (3 * (LEADING.pattern,)), s, re.S)
            need(m and s.endswith("$") and clamp(m[3]) < 32, "macro")
            return Unfit("macro")
        if "/" in s:
            return self.regex(s, target, index)
        if "(" in s and s.count("#") > 1:
            return compare_bytes(s)
        if s.startswith("fuzzy_img#"):
            return Unfit("fuzzy image hash")
        f = s.split(":", 4)
        off, sig, modifiers = "*", f[0], ""  # of five fields or more the first alone counts
        if len(f) == 2:
            off, sig = f
        elif len(f) == 3:
            modifiers = f[2]
        elif len(f) == 4:
            off, sig, modifiers = f[0], f[1], f[3]
        return self.add(off, sig, modifiers, target)

    def regex(self, s, target, index):
        self.anchors.append(None)
        off, colon, sub = s[:s.index("/")].rpartition(":")
        sub += s[s.index("/"):]
        if colon:
            try:
                offset(off, target)
            except Unfit as e:
                return e
        first, last = sub.index("/"), sub.rindex("/")
        need(0 < first < last, "regular expression")
        need(expression(sub[:first])[1] < index, "regular expression triggered by a later subsignature")
        need(not sub[last + 1:].strip("greismxAEU"), "flags of a regular expression")
        return Unfit("regular expression")


def unusable(target):
    return Unfit("target") if target == UNUSED or target >= TARGETS else None


def span(s):
    low, dash, high = s.partition("-")
    need(dash, "range")
    return decimal(low), decimal(high)


def split_logical(s):
    """Cut at semicolons, not within the slashes of a regular expression; at most 68 fields."""
    if "/" not in s:
        return s.split(";", 67)
    out, start, slashes = [], 0, False
    for i, c in enumerate(s):
        if c == ";" and not slashes:
            out.append(s[start:i])
            start = i + 1
            if len(out) == 68:
                return out
        elif c == "/" and len(out) >= 2 and s[i - 1] != "\\":
            slashes = not slashes
    return out + [s[start:]]


def compare_bytes(s):
    inner, closed, _ = s.partition("(")[2].partition(")")
    need(closed and len(inner.split("#")) == 3, "byte comparison")
    return Unfit("byte comparison")


def offset(s, target):
    """Return where a body may begin: (from the end, offset, shift), "elsewhere", or None for anywhere."""
    if s == "*":
        return None
    need(len(s) <= 64, "offset")
    at, _, shift = s.partition(",")
    shift, place = decimal(shift), "elsewhere"
    if at.startswith(("EP+", "EP-", "SL+")):
        decimal(at[3:])
    elif at.startswith("SE"):
        decimal(at[2:])
    elif at.startswith("S"):
        n, rest = leading(at[1:])
        need(n is not None and rest.startswith("+") and leading(rest[1:])[0] is not None, "offset")
    elif at.startswith("EOF-"):
        place = (True, decimal(at[4:]), shift)
    elif at.startswith("VI"):
        pass
    elif "$" in at:
        group = leading(at[1:])[0]
        need(at[0] == "$" and group is not None and group < 32, "macro group in an offset")
        raise Unfit("macro group")
    else:
        place = (False, decimal(at), shift)
    need(place != "elsewhere" or target in (PE, ELF, MACHO), "offset for a target without sections")
    return place


class Body:
    """Reads one body and holds it against the grammar, and against what a scanner can search for."""

    def __init__(self, s, modifiers, wide, target):
        self.any, self.wide, self.target = modifiers != "", wide, target
        full = "f" in modifiers
        if full:
            s = "(W)" + s + "(W)"
        if (full or wide) and ("[" in s or "]" in s):
            need(s.count("[") == s.count("]"), "brackets that do not match")
            s = s.replace("[", "{").replace("]", "}")
        self.unfit = None
        self.parts(s)
        if self.unfit:
            raise self.unfit

    def refuse(self, why):
        self.unfit = self.unfit or Unfit(why)

    def parts(self, s):
        start = nest = i = 0
        inline = True
        while i < len(s):
            c, end = s[i], i
            i += 1
            if c == "(":
                nest += 1
            elif c == ")":
                nest -= 1
            elif c == "*" or c == "{":
                if c == "{":
                    n = s.find("}", i)
                    need(n >= 0, "closing brace missing")
                    inner, i = s[i:n], n + 1
                    if inline and inline_gap(inner):
                        continue
                    inline = False
                    low, _, high = inner.partition("-")
                    decimal(low)
                    decimal(high)
                need(nest == 0, "a distance in an alternative")
                self.part(s[start:end], False)
                start = i
        self.part(s[start:], True)

    def part(self, s, last):
        before = after = None
        if "[" in s:
            before, s, after = singles(s)
        self.core(s, last and not after)

    def core(self, s, last):
        width = 2 if self.wide else 1
        c, i = Counter(), 3 if class_at(s, 0) and len(s) > 3 else 0
        while i < len(s):
            end = LITERAL.match(s, i).end()
            c.static((end - i) // 2 * width)
            i = end
            if i == len(s):
                break
            start, paren = i, s[i] in "!("
            i = self.special(s, i, last) if paren else wildcard(s, i)
            if not paren:
                c.wild(s[start] == "{" or s[start:start + 2] == "??")
            elif i == len(s) and class_at(s, i - 3):
                pass
            elif self.any or not is_byte_set(s[start + (s[start] == "!"):i]):
                need(c.other() or self.target not in (ANY, PE, MAIL, ASCII), "too little before an alternative")
            else:
                c.wild(False)
            if self.wide and not paren and s[start] != "{":
                c.static(1)
        need(c.longest >= 2, "a part without 2 static bytes in a row")

    def special(self, s, i, last):
        negate = s[i] == "!"
        i += negate
        inner, deepest = in_parens(s, i)
        need(inner, "parentheses that do not match, or empty ones")
        need(deepest <= 15, "parentheses nested deeper than 15")
        end, kind = i + len(inner) + 2, class_at(s, i)
        if not kind:
            self.alternates(inner, negate)
        elif end == len(s) and not negate:
            pass
        elif kind == "L" and negate:
            self.refuse("negated line boundary")
        elif end == len(s) and (not last or self.wide):
            self.refuse("negated boundary that is wide, or with something behind it")
        return end

    def alternates(self, s, negate):
        out, nest, start = [], 0, 0
        for i, c in enumerate(s):
            if c == "(":
                nest += 1
            elif c == ")":
                nest -= 1
            elif c == "|" and nest == 0:
                out.append(s[start:i])
                start = i + 1
        out.append(s[start:])
        need(out[0], "first alternative empty")
        if negate:
            plain = not self.any and not re.search("[(?{]", s)
            need(plain and all(len(a) == len(out[0]) for a in out), "negated alternatives that are not plain bytes of one length")
        for a in out:
            self.sequence(a)

    def sequence(self, s):
        i = 0
        while i < len(s):
            i = LITERAL.match(s, i).end()
            if i == len(s):
                break
            need(s[i] != "!", "negation within alternatives")
            if s[i] == "(":
                inner, _ = in_parens(s, i)
                need(inner, "parentheses that do not match, or empty ones")
                self.alternates(inner, False)
                i += len(inner) + 2
            else:
                i = wildcard(s, i)


class Counter:
    """Follows what ClamAV asks of a part: a static stretch, and enough for its filter before an alternative."""

    def __init__(self):
        self.run = self.longest = self.units = 0
        self.some = self.full = False

    def static(self, n):
        if n > 0:
            self.run += n
            self.longest = max(self.longest, self.run)
            self.units += n
            self.some = True

    def wild(self, anything):
        self.run = 0
        self.units += 1
        self.some = self.some or not anything

    def other(self):
        self.run = 0
        if self.full or self.units == 0:
            return True
        self.full = self.some and self.units >= 2
        return self.full


def inline_gap(s):
    n, rest = leading(s)
    return bool(n) and n <= 127 and rest == ""


def singles(s):
    """Take the single bytes off a part; return (before, rest, after), each byte None or its distance."""
    before = None
    for i in range(2):
        at = s.find("[")
        if at < 0:
            break
        end = s.find("]", at)
        need(end >= 0, "closing bracket missing")
        left, inner, right = s[:at], s[at + 1:end], s[end + 1:]
        low, rest = leading(inner)
        need(low is not None, "distance")
        high = leading(rest[1:])[0] if rest.startswith("-") else None
        high = low if high is None else high
        need(low <= high <= 32, "distance")
        one = left if len(left) == 2 and i == 0 else right if len(right) == 2 and len(left) != 2 else ""
        need(UNIT.fullmatch(one), "no single byte beside a bracket")
        near = None if one[1] == "?" else (low, high)
        if one is not left:
            return before, left, near
        before, s = near, right
    return before, s, None


def wildcard(s, i):
    if s[i] == "{":
        n = s.find("}", i)
        need(n >= 0 and inline_gap(s[i + 1:n]), "distance")
        return n + 1
    need(UNIT.match(s, i), "no byte")
    return i + 2


def class_at(s, i):
    return s[i + 1] if i + 3 <= len(s) and s[i] == "(" and s[i + 2] == ")" and s[i + 1] in "BLW" else ""


def is_byte_set(s):
    return all(len(x) == 2 and "?" not in x for x in s[1:-1].split("|"))


def in_parens(s, i):
    """Return (what stands between s[i] and its partner, how deep parentheses nest in it), or ("", 0)."""
    nest = deepest = 0
    for j in range(i, len(s)):
        if s[j] == "(":
            nest += 1
            deepest = max(deepest, nest - 1)
        elif s[j] == ")":
            nest -= 1
            if nest == 0:
                return s[i + 1:j], deepest
        if nest == 0:
            break
    return "", 0


# ---------------------------------------------------------------- logical expressions

def expression(s, depth=0):
    """Read a ClamAV expression: no precedence; see docs/format/record.md. Return (tree, greatest subsignature)."""
    need(depth <= 200 and len(s) <= 16 << 10, "an expression that is too deep, or too long")
    level, mod, i, inner = 0, -1, 0, None
    while i < len(s):
        c = s[i]
        if c == "(":
            level += 1
        elif c == ")":
            level -= 1
            need(level >= 0, "parenthesis")
        elif c in "<>=":
            mod = i
        elif c in "&|":
            if level == 0:
                return join(c, s[:i], s[i + 1:], depth)
            if level == 1:
                inner = [c, i, None, None]
        if inner and level == 0:
            inner[2:] = [i, None]
            if i + 1 < len(s) and s[i + 1] in "<>=":
                m = GROUP.match(s, i + 1)
                need(m, "number missing")
                inner[3] = (m[1], min(clamp(m[2]), 2**32 - 1), min(clamp(m[3] or ""), 2**32 - 1))
                i = m.end() - 1
            if i + 1 < len(s):
                inner[3] = None
        i += 1
    need(level == 0, "parenthesis")
    if inner:
        op, at, end, group = inner
        tree, top = join(op, s[1:at], s[at + 1:end], depth)
        return (("group", tree) + group if group else tree), top
    if s.startswith("("):
        return expression(s[1:-1], depth + 1)
    sub = leading(s)[0]
    need(sub is not None and sub < 2**31 - 1, "no subsignature")
    if mod < 0:
        return ("count", sub, ">", 0), sub
    n = leading(s[mod + 1:])[0]
    need(n is not None, "number missing")
    return ("count", sub, s[mod], min(n, 2**32 - 1)), sub


GROUP = re.compile("([<>=])%s(?:,%s)?[,0-9]*" % (LEADING.pattern, LEADING.pattern))


def join(op, a, b, depth):
    need(a and b, "operand missing")
    (x, i), (y, j) = expression(a, depth + 1), expression(b, depth + 1)
    return (op, x, y), max(i, j)


def height(t):
    """Return how deep a tree is, one operator many times over counted once."""
    if t[0] == "count":
        return 0
    if t[0] == "group":
        return 1 + height(t[1])
    return max(height(k) + (k[0] != t[0]) for k in t[1:3])


def needs(t, least=1, out=None):
    """Return how many matches of each pattern have to be told apart."""
    out = {} if out is None else out
    if t[0] in ("count", "group"):
        least = max(least, t[3] + (t[2] != "<" and t[3] < 2**32 - 1))
    if t[0] == "count":
        out[t[1]] = max(out.get(t[1], 0), least)
    else:
        for k in t[1:2] if t[0] == "group" else t[1:3]:
            needs(k, least, out)
    return out


def compare(n, cmp, with_):
    return n > with_ if cmp == ">" else n < with_ if cmp == "<" else n == with_


def holds(t, counts):
    """Return (whether it holds, the sum of matches, the patterns that added to it)."""
    if t[0] == "count":
        n = min(counts.get(t[1], 0), 1 << 31)
        return (True, n, {t[1]}) if compare(n, t[2], t[3]) else (False, 0, set())
    if t[0] == "group":
        _, n, subs = holds(t[1], counts)
        return (True, n, set()) if compare(n, t[2], t[3]) and len(subs) >= t[4] else (False, 0, set())
    a, b = holds(t[1], counts), holds(t[2], counts)
    if not (a[0] and b[0] if t[0] == "&" else a[0] or b[0]):
        return False, 0, set()
    return True, a[1] + b[1], a[2] | b[2]


# ---------------------------------------------------------------- logs (C2SP tlog-proof, tlog-checkpoint, signed-note)

MAX_CHECKPOINT = 256 << 10
MAX_PROOF = MAX_CHECKPOINT + 64 * 64
MAX_LINE = (64 << 10) - 1  # of a proof, without its end
MAX_NOTE_SIGNATURES = 100
SIGNATURE = re.compile(
    "\u2014 ([^ +\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+) "
    "((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)")


def check_proof(text, record, key):
    if len(text.encode()) > MAX_PROOF or any(len(s.encode()) > MAX_LINE for s in text.split("\n")):
        raise ValueError("the proof, or a line of it, is too long")
    head, _, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1" or len(lines) < 2 or not re.fullmatch("index (0|[1-9][0-9]{0,18})", lines[1]):
        raise ValueError("no proof of C2SP tlog-proof v1")
    index = int(lines[1][6:])
    path = [decode_hash(s) for s in lines[2:]]
    size, root = check_checkpoint(checkpoint, key)
    if index >= size or len(path) > 64:
        raise ValueError("index %d in a log of %d entries" % (index, size))
    node = hashlib.sha256(b"\0" + record).digest()
    fn, sn = index, size - 1  # RFC 9162, section 2.1.3.2
    for p in path:
        if sn == 0:
            raise ValueError("too many hashes")
        if fn & 1 or fn == sn:
            node = hashlib.sha256(b"\1" + p + node).digest()
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = hashlib.sha256(b"\1" + node + p).digest()
        fn, sn = fn >> 1, sn >> 1
    if sn or node != root:
        raise ValueError("the hashes do not lead to the root")


def decode_hash(s):
    b = base64.b64decode(s, validate=True)
    if len(b) != 32 or base64.b64encode(b).decode() != s:
        raise ValueError("no hash")
    return b


def check_checkpoint(note, key):
    """Return (size, root) of a signed note that this key signed (C2SP signed-note, tlog-checkpoint)."""
    if len(note.encode()) > MAX_CHECKPOINT or re.search("[\x00-\x09\x0b-\x1f]", note):
        raise ValueError("a checkpoint that is too long, or has a control character")
    origin = "showcause.dev/host/" + sha(key)[:32]
    body, mark, rest = note.partition("\n\n")
    lines = body.split("\n")
    if not mark or len(lines) != 3 or lines[0] != origin or not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]) or int(lines[1]) > 1 << 53:
        raise ValueError("no checkpoint of the log of that key")
    root = decode_hash(lines[2])
    hint = hashlib.sha256(origin.encode() + b"\n\x01" + key).digest()[:4]
    if not rest.endswith("\n"):
        raise ValueError("the checkpoint has no end")
    signatures = rest[:-1].split("\n")
    if len(signatures) > MAX_NOTE_SIGNATURES:
        raise ValueError("a checkpoint with %d signatures" % len(signatures))
    signed = False
    for line in signatures:
        m = SIGNATURE.fullmatch(line)
        sig = base64.b64decode(m[2]) if m else b""
        if len(sig) < 5:
            raise ValueError("a line of the checkpoint that is no signature")
        if m[1] == origin and sig[:4] == hint and not signed:
            if not ed25519(key, (body + "\n").encode(), sig[4:]):
                raise ValueError("the signature of the checkpoint is false")
            signed = True
    if signed:
        return int(lines[1]), root
    raise ValueError("the checkpoint is not signed by that key")


def tree_hash(leaves):
    """Return the root of a tree (RFC 9162, section 2.1.1)."""
    stack = []  # (leaves, hash) of full subtrees, the largest first
    for h in leaves:
        n = 1
        while stack and stack[-1][0] == n:
            h = hashlib.sha256(b"\1" + stack.pop()[1] + h).digest()
            n *= 2
        stack.append((n, h))
    if not stack:
        return hashlib.sha256(b"").digest()
    h = stack.pop()[1]
    while stack:
        h = hashlib.sha256(b"\1" + stack.pop()[1] + h).digest()
    return h


def tile_path(level, n, width):
    """Return the path of a tile (C2SP tlog-tiles): groups of three digits, all but the last after an x."""
    path = "%03d" % (n % 1000)
    while n >= 1000:
        n //= 1000
        path = "x%03d/%s" % (n % 1000, path)
    return "tile/%s/%s%s" % (level, path, ".p/%d" % width if width < 256 else "")


def tiles(count):
    """Yield (index, width) of the tiles that hold so many things."""
    for n in range(count // 256):
        yield n, 256
    if count % 256:
        yield count // 256, count % 256


def verify_log(folder, keys):
    """Return (entries, problems) of a log's folder."""
    problems = []

    def read(name, may=False):
        try:
            with open(os.path.join(folder, name), "rb") as f:
                return f.read(16 << 20)
        except FileNotFoundError:
            if may:
                return None
            problems.append(("log.tile", name, "is not there"))
        except OSError as e:
            problems.append(("log.tile", name, str(e.strerror)))
        return b""

    note, tried = read("checkpoint"), []
    for key in keys.values():
        if len(key) != 32:
            continue
        try:
            size, root = check_checkpoint(note.decode(), key)
            break
        except (ValueError, IndexError, binascii.Error) as e:
            tried.append(("log.checkpoint", "checkpoint", str(e)))
    else:
        return [], problems + (tried or [("log.checkpoint", "checkpoint", "no Ed25519 key")])
    if size > 1 << 32:
        return [], [("log.checkpoint", "checkpoint", "too large for this program")]
    expected, entries = {"checkpoint"}, []
    for n, width in tiles(size):
        name = tile_path("entries", n, width)
        expected.add(name)
        b = read(name)
        if len(b) != 34 * width or any(b[i:i + 2] != b"\0\x20" for i in range(0, len(b), 34)):
            problems.append(("log.entries", name, "not %d entries of 32 bytes" % width))
            return entries, problems
        entries += [b[i + 2:i + 34] for i in range(0, len(b), 34)]
    hashes, level = [hashlib.sha256(b"\0" + e).digest() for e in entries], 0
    if tree_hash(hashes) != root:
        problems.append(("log.root", "checkpoint", "the entries do not give the root"))
    problems += check_cosigned(read("cosigned", True), hashes, key)
    pending = read("pending", True)
    if pending is not None:
        problems += check_pending(pending, size, root, key)
    while hashes:
        for n, width in tiles(len(hashes)):
            name = tile_path(level, n, width)
            expected.add(name)
            if read(name) != b"".join(hashes[256 * n:256 * n + width]):
                problems.append(("log.tile", name, "not what the entries give"))
        hashes, level = [tree_hash(hashes[i:i + 256]) for i in range(0, len(hashes) - 255, 256)], level + 1
    for at, _, names in os.walk(os.path.join(folder, "tile")):
        for name in names:
            path = os.path.relpath(os.path.join(at, name), folder).replace(os.sep, "/")
            if path not in expected and not pending:
                problems.append(("log.set-back", path, "more than the checkpoint tells of"))
    return entries, problems


def check_cosigned(note, hashes, key):
    """Hold what witnesses signed against the log: it must be a beginning of it."""
    if note is None:
        return []
    try:
        size, root = check_checkpoint(note.decode(), key)
    except (ValueError, IndexError, binascii.Error) as e:
        return [("log.cosigned", "cosigned", str(e))]
    if size > len(hashes) or tree_hash(hashes[:size]) != root:
        return [("log.cosigned", "cosigned", "this log does not continue what witnesses signed")]
    return []


def check_pending(journal, size, root, key):
    """Check the journal of an append that is under way (docs/format/log.md)."""
    wrong = [("log.pending", "pending", "the journal is damaged, or of another log")]
    digests = b"(?:[0-9a-f]{64}\n){1,65536}"
    m = re.fullmatch(b"(showcause-log-pending/v1\n([^\n]*)\n([0-9]{1,19})\n([0-9]{1,19})\n([^\n]{44})\n(" + digests + b"))sum ([0-9a-f]{64})\n", journal)
    if not m or sha(m[1]).encode() != m[7] or m[2].decode("latin-1") != "showcause.dev/host/" + sha(key)[:32]:
        return wrong
    old, new = int(m[3]), int(m[4])
    if [b"%d" % old, b"%d" % new] != [m[3], m[4]] or new - old != len(m[6]) // 65:
        return wrong
    if size != old and (size, base64.b64encode(root)) != (new, m[5]):
        return wrong
    return []


# ---------------------------------------------------------------- the command

def verify(data, keys, need_proof=False):
    """Return (name, problems, notes); each problem and note is (code, where, text)."""
    try:
        r = Record(data)
    except Refused as e:
        return None, [e.problem], []
    name = sha(r.payload)
    if r.problems:
        return name, r.problems[:MAX_PROBLEMS], []
    c = Check(r)
    c.text = b""
    c.run()
    signer = None
    if not any(p[0] == "shape" for p in c.problems):
        healthy = not c.problems
        signer = c.signatures(keys)
        if r.kind == "finding" and healthy and not c.problems:
            c.condition()
    c.proof(signer, need_proof)
    for at in r.hidden:
        c.note("hidden", at, "not disclosed in this copy, and not checked")
    return name, c.problems, c.notes


def report(as_json, what, name, problems, notes):
    if as_json:
        print(json.dumps({"file": what, "name": name, "problems": problems, "notes": notes}))
        return
    print("%s: %s" % (ascii(what)[1:-1], "REFUSED" if problems else "verified, " + name))
    for code, where, text in problems + notes:
        print("  %s: %s%s" % (code, where + ": " if where else "", ascii(text)[1:-1]))


def store_files(store):
    """Return (records, problems) of a store: the files records/ab/NAME.scf, and what else is there."""
    files, foreign = [], []
    top = os.path.join(store, "records")
    for sub in sorted(os.listdir(top)):
        at = os.path.join(top, sub)
        if os.path.islink(at) or not os.path.isdir(at):
            foreign.append(("store.foreign", "records/" + sub, "no folder of records"))
            continue
        for name in sorted(os.listdir(at)):
            path = os.path.join(at, name)
            if re.fullmatch("[0-9a-f]{64}[.]scf", name) and name[:2] == sub and os.path.isfile(path) and not os.path.islink(path):
                files.append(path)
            else:
                foreign.append(("store.foreign", "records/%s/%s" % (sub, name), "is not named as a record"))
    return files, foreign


def new_logs(store):
    """Return notes of when the log was begun anew under the host's key: what was logged before is not in it."""
    path = os.path.join(store, "new-logs")
    if not os.path.lexists(path):
        return []
    with open(path, "rb") as f:
        lines = f.read(1 << 20).decode("utf-8", "backslashreplace").splitlines()
    return [("new-log", "", line) for line in lines]


def main(args):
    keys, files, as_json, need, store = {}, [], False, False, None
    args = list(args)
    while args:
        a = args.pop(0)
        if a == "--key" and args:
            keys.update(read_keys(args.pop(0)))
        elif a == "--store" and args:
            store = args.pop(0)
        elif a == "--json":
            as_json = True
        elif a == "--need-proof":
            need = True
        elif a.startswith("--"):
            print(__doc__, file=sys.stderr)
            return 2
        else:
            files.append(a)
    logged = None
    if store is not None:
        if files:
            raise ValueError("--store takes no records")
        keys = keys or read_keys(os.path.join(store, "key.pub"))
        files, foreign = store_files(store)
        entries, problems = verify_log(os.path.join(store, "log"), keys)
        problems += foreign
        logged = {e.hex() for e in entries}
    elif not files:
        print(__doc__, file=sys.stderr)
        return 2
    code, found = 0, set()
    for path in files:
        with open(path, "rb") as f:
            name, bad, notes = verify(f.read(MAX_FILE + 1), keys, need)
        if logged is not None:
            found.add(name)
            if name not in logged:
                bad.append(("log.entry", "", "the log does not have the record"))
            if os.path.basename(path) != "%s.scf" % name:
                bad.append(("log.entry", "", "the file has another record's name"))
            bad += [("store.less", n[1], "the host's own copy does not show it any more") for n in notes if n[0] == "hidden"]
        code = code or (1 if bad else 0)
        report(as_json, path, "record %s" % name if not as_json else name, bad, notes)
    if logged is not None:
        for e in sorted(logged - found):
            problems.append(("log.entry", "", "record %s is in the log and not in the store" % e))
        code = code or (1 if problems else 0)
        report(as_json, os.path.join(store, "log"), "%d entries" % len(entries), problems, new_logs(store))
    return code


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, ValueError) as e:
        print("verify.py: %s" % e, file=sys.stderr)
        sys.exit(2)

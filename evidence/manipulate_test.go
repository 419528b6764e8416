package evidence

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/showcause/showcause/translog"
)

// forgery is a record that was tampered with, and the code that each verifier
// must give.
type forgery struct {
	name string
	file []byte
	want []Code // one of them
	py   []Code // where the second verifier says otherwise
}

// reseal makes a record of a clear statement as a host would that has the key
// and lies: commitments and signatures fit.
func reseal(t testing.TB, clear *node, keys ...*Key) []byte {
	t.Helper()
	n := clone(clear)
	r := &Record{}
	salt := bytes.Repeat([]byte{7}, saltSize)
	for at, v := range privateFields(n, func(string, *node) bool { return false }) {
		c := *v
		r.disclosures = append(r.disclosures, disclosure{at, hexOf(string(salt)), &c})
		*v = node{kind: object, members: []member{{"commitment", str(commit(salt, &c))}}}
	}
	slices.SortFunc(r.disclosures, func(a, b disclosure) int { return strings.Compare(a.at, b.at) })
	r.payload = n.canonical(nil)
	sign(t, r, keys...)
	return r.Bytes()
}

func sign(t testing.TB, r *Record, keys ...*Key) {
	r.signatures = nil
	for _, k := range keys {
		sig, err := k.sign(pae(r.payload))
		if err != nil {
			t.Fatal(err)
		}
		r.signatures = append(r.signatures, signature{k.Public().ID(), sig})
	}
	slices.SortFunc(r.signatures, func(a, b signature) int { return strings.Compare(a.key, b.key) })
}

func str(s string) node { return node{kind: text, text: s} }
func num(n int64) node  { return node{kind: number, number: n} }

func clone(n *node) *node {
	c, err := parseJSON(n.canonical(nil))
	if err != nil {
		panic(err)
	}
	return c
}

// at returns the value at a JSON pointer.
func at(n *node, pointer string) *node {
	for _, k := range strings.Split(pointer, "/")[1:] {
		if n.kind == array {
			i, err := strconv.Atoi(k)
			if err != nil || i >= len(n.list) {
				panic(pointer)
			}
			n = &n.list[i]
		} else if n = n.member(k); n == nil {
			panic(pointer)
		}
	}
	return n
}

// drop removes the value at a pointer.
func drop(n *node, pointer string) {
	i := strings.LastIndexByte(pointer, '/')
	parent, key := at(n, pointer[:i]), pointer[i+1:]
	if parent.kind == array {
		k, _ := strconv.Atoi(key)
		parent.list = slices.Delete(parent.list, k, k+1)
		return
	}
	parent.remove(key)
}

// leaves calls each for every value that is no object and no array.
func leaves(n *node, where string, each func(where string, n *node)) {
	switch n.kind {
	case object:
		for i := range n.members {
			leaves(&n.members[i].value, where+"/"+n.members[i].key, each)
		}
	case array:
		for i := range n.list {
			leaves(&n.list[i], where+"/"+strconv.Itoa(i), each)
		}
	default:
		each(where, n)
	}
}

// twist changes a value into another of its kind.
func twist(n *node) {
	switch n.kind {
	case number:
		n.number++
	case boolean:
		n.number ^= 1
	case text:
		b := []byte(n.text)
		if len(b) == 0 {
			n.text = "a"
			return
		}
		if last := len(b) - 1; b[last] == '1' {
			b[last] = '2'
		} else {
			b[last] = '1'
		}
		n.text = string(b)
	}
}

// unsigned changes every value of every payload, and drops every member and element: the
// signature is not of what remains.
func unsigned(all map[Kind]*Record) (out []forgery) {
	late := []Code{BadSignature, BadShape, BadField, BadType, BadCommitment, BadDisclosure, MoreSignature}
	for _, kind := range []Kind{Finding, Scan, Deed, Contest, Decision, Entry} {
		r := all[kind]
		n, _ := parseJSON(r.payload)
		var places []string
		leaves(n, "", func(where string, _ *node) { places = append(places, where) })
		for _, p := range places {
			c := clone(n)
			twist(at(c, p))
			want := []Code{BadSignature}
			switch {
			case strings.HasPrefix(p, "/predicate/context/keys"):
				want = []Code{MoreSignature}
			case strings.HasSuffix(p, "/commitment"):
				want = []Code{BadCommitment}
			case p == "/_type" || p == "/predicateType":
				want = []Code{BadType}
			case p == "/subject/0/digest/scan" || p == "/predicate/context/scan" && kind == Scan:
				want = []Code{BadShape}
			}
			out = append(out, forgery{name: string(kind) + ": changed " + p, file: with(r, c), want: want})
			c = clone(n)
			drop(c, p)
			out = append(out, forgery{name: string(kind) + ": without " + p, file: with(r, c), want: late})
		}
	}
	return out
}

// with is a record with another payload and the old signatures.
func with(r *Record, payload *node) []byte {
	c := *r
	c.payload = payload.canonical(nil)
	return c.Bytes()
}

// disclosed changes what is disclosed.
func disclosed(all map[Kind]*Record) (out []forgery) {
	for _, kind := range []Kind{Finding, Scan, Deed, Contest, Decision, Entry} {
		r := all[kind]
		for i := range r.disclosures {
			change := func(name string, want Code, f func(d *disclosure)) {
				c := *r
				c.disclosures = slices.Clone(r.disclosures)
				v := *clone(c.disclosures[i].value)
				c.disclosures[i].value = &v
				f(&c.disclosures[i])
				out = append(out, forgery{name: fmt.Sprintf("%s: %s of %s", kind, name, r.disclosures[i].at), file: c.Bytes(), want: []Code{want}})
			}
			change("other value", BadCommitment, func(d *disclosure) {
				leaves(d.value, "", func(_ string, n *node) { twist(n) })
			})
			change("other salt", BadCommitment, func(d *disclosure) { d.salt = sum(d.salt) })
			change("value of another kind", BadCommitment, func(d *disclosure) { *d.value = num(4) })
			change("unknown place", BadDisclosure, func(d *disclosure) { d.at += "0" })
		}
	}
	// A commitment disclosed as a commitment.
	r := all[Contest]
	c := *r
	c.disclosures = slices.Clone(r.disclosures)
	n, _ := parseJSON(r.payload)
	i := r.disclosed("/predicate/context/path")
	v := node{kind: object, members: []member{{"commitment", str(sum("x"))}}}
	c.disclosures[i].value = &v
	salt := bytes.Repeat([]byte{1}, saltSize)
	c.disclosures[i].salt = hexOf(string(salt))
	at(n, "/predicate/context/path/commitment").text = commit(salt, &v)
	out = append(out, forgery{name: "a commitment to a commitment", file: with(&c, n), want: []Code{BadDisclosure}})
	// Swapped between two places.
	c = *r
	c.disclosures = slices.Clone(r.disclosures)
	c.disclosures[0].value, c.disclosures[1].value = c.disclosures[1].value, c.disclosures[0].value
	c.disclosures[0].salt, c.disclosures[1].salt = c.disclosures[1].salt, c.disclosures[0].salt
	return append(out, forgery{name: "two values swapped", file: c.Bytes(), want: []Code{BadCommitment}})
}

// spelled changes the bytes of the file and of the payload.
func spelled(r *Record) (out []forgery) {
	file := r.Bytes()
	add := func(name string, b []byte, want ...Code) {
		out = append(out, forgery{name: "file: " + name, file: b, want: want})
	}
	swap := func(b []byte, old, new string) []byte {
		if !bytes.Contains(b, []byte(old)) {
			panic(old)
		}
		return bytes.Replace(b, []byte(old), []byte(new), 1)
	}
	add("empty", nil, BadCanonical)
	add("a line end", []byte("\n"), BadJSON)
	add("half", append(bytes.Clone(file[:len(file)/2]), '\n'), BadJSON)
	add("no line end", file[:len(file)-1], BadCanonical)
	add("two line ends", append(bytes.Clone(file), '\n'), BadCanonical)
	add("carriage return", append(bytes.Clone(file[:len(file)-1]), '\r', '\n'), BadCanonical)
	add("byte order mark", append([]byte("\xef\xbb\xbf"), file...), BadJSON)
	add("twice", append(bytes.Clone(file), file...), BadJSON)
	add("a blank", swap(file, `"payload":`, `"payload": `), BadCanonical)
	add("members in another order", swap(swap(file, `"payloadType":"application/vnd.in-toto+json",`, ``), `{"disc`, `{"payloadType":"application/vnd.in-toto+json","disc`), BadCanonical)
	add("escaped letter", swap(file, `"payload"`, `"p\u0061yload"`), BadCanonical)
	add("escaped solidus", swap(file, `application/vnd`, `application\/vnd`), BadCanonical)
	add("a member twice", swap(file, `{"disclosures"`, `{"disclosures":1,"disclosures"`), BadDuplicate)
	add("an unknown member", swap(file, `,"signatures"`, `,"qayload":"x","signatures"`), BadCanonical, BadField)
	add("an unknown member in its place", swap(file, `,"signatures"`, `,"private":"x","signatures"`), BadCanonical, BadField)
	add("another case", swap(file, `"payload":`, `"Payload":`), BadCanonical, BadField)
	add("null", swap(file, `,"signatures":`, `,"proof":null,"signatures":`), BadJSON)
	add("an empty proof", swap(file, `,"signatures":`, `,"proof":"","signatures":`), BadShape)
	add("a number for a text", swap(file, `"payloadType":"application/vnd.in-toto+json"`, `"payloadType":5`), BadShape)
	add("another payload type", swap(file, `application/vnd.in-toto+json`, `application/vnd.in-toto+jsom`), BadType)
	add("a list for an object", []byte("[]\n"), BadShape)
	add("a text for an object", []byte("\"\"\n"), BadShape)
	add("deep", []byte(strings.Repeat("[", 100)+strings.Repeat("]", 100)+"\n"), BadSize)
	add("very deep", []byte(strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+"\n"), BadSize)
	add("millions of values", []byte("["+strings.Repeat("[],", 1<<20)+"[]]\n"), BadSize)
	var many strings.Builder
	for i := range maxMembers + 1 {
		fmt.Fprintf(&many, `,"%04d":0`, i)
	}
	add("an object of many members", []byte("{"+many.String()[1:]+"}\n"), BadSize)
	hidden := r.Share(func(string) bool { return false }).Bytes()
	add("more disclosures than a record has places", swap(hidden, `{"payload"`, `{"disclosures":[0`+strings.Repeat(",0", maxDisclosed)+`],"payload"`), BadSize)
	add("not UTF-8", swap(file, `"payloadType":"a`, "\"payloadType\":\"\xffa"), BadJSON)
	add("half a surrogate pair", swap(file, `"payloadType":"a`, `"payloadType":"\ud800a`), BadJSON)
	add("no disclosures, written down", swap(r.Share(func(string) bool { return false }).Bytes(), `{"payload"`, `{"disclosures":[],"payload"`), BadShape)
	add("salt in capitals", swap(file, `"salt":"`+r.disclosures[0].salt, `"salt":"`+strings.ToUpper(r.disclosures[0].salt)), BadValue)
	add("short salt", swap(file, `"salt":"`+r.disclosures[0].salt, `"salt":"`+r.disclosures[0].salt[2:]), BadValue)

	// The payload, whose signature then is another's; its spelling comes first.
	payload := func(name string, b []byte, want ...Code) {
		c := *r
		c.payload = b
		out = append(out, forgery{name: "payload: " + name, file: c.Bytes(), want: want})
	}
	p := r.payload
	payload("empty", nil, BadJSON)
	payload("a blank", swap(p, `"_type":`, `"_type": `), BadCanonical)
	payload("a line end", append(bytes.Clone(p), '\n'), BadCanonical)
	payload("cut", p[:len(p)-1], BadJSON)
	payload("a number with a point", swap(p, `"work":12345`, `"work":12345.0`), BadJSON)
	payload("a number with an exponent", swap(p, `"work":12345`, `"work":1e4`), BadJSON)
	payload("a leading zero", swap(p, `"work":12345`, `"work":012345`), BadJSON)
	payload("minus zero", swap(p, `"work":12345`, `"work":-0`), BadCanonical)
	payload("2^53", swap(p, `"work":12345`, `"work":9007199254740992`), BadJSON)
	payload("2^64", swap(p, `"work":12345`, `"work":18446744073709551616`), BadJSON)
	payload("not a number", swap(p, `"work":12345`, `"work":NaN`), BadJSON)
	payload("a member twice", swap(p, `"work":12345`, `"work":12345,"work":12345`), BadDuplicate)
	payload("an unknown member", swap(p, `"work":12345`, `"work":12345,"xork":1`), BadField)
	payload("null", swap(p, `"work":12345`, `"work":null`), BadJSON)
	payload("an empty member", swap(p, `"time":{`, `"source":"","time":{`), BadField, BadShape)
	payload("a clear path", swap(p, `"path":{"commitment":"`+at(mustParse(p), "/predicate/context/path/commitment").text+`"}`, `"path":"/etc/passwd"`), BadCommitment)
	for _, where := range []string{"/predicate/context/host", "/predicate/id", "/predicate/matches", "/predicate/derivation/0/digest"} {
		n := mustParse(p)
		at(n, where).members = append(at(n, where).members, member{"scan", str("x")})
		payload("a scan's name beside the commitment of "+where, n.canonical(nil), BadCommitment)
		*at(n, where) = node{kind: object, members: []member{{"scan", str(sum("scan"))}}}
		payload("a scan's name in place of the commitment of "+where, n.canonical(nil), BadCommitment)
	}
	payload("a member beside a commitment", swap(p, `"path":{`, `"path":{"a":1,`), BadCommitment)
	return out
}

func mustParse(b []byte) *node {
	n, err := parseJSON(b)
	if err != nil {
		panic(err)
	}
	return n
}

// signed changes signatures.
func signed(t *testing.T, all map[Kind]*Record, ed, pq *Key) (out []forgery) {
	other, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []Kind{Finding, Scan, Deed, Contest, Decision, Entry} {
		r := all[kind]
		add := func(name string, want Code, f func(r *Record)) {
			c := *r
			c.signatures = nil
			for _, s := range r.signatures {
				c.signatures = append(c.signatures, signature{s.key, bytes.Clone(s.sig)})
			}
			f(&c)
			slices.SortFunc(c.signatures, func(a, b signature) int { return strings.Compare(a.key, b.key) })
			out = append(out, forgery{name: fmt.Sprintf("%s: %s", kind, name), file: c.Bytes(), want: []Code{want}})
		}
		mine := slices.IndexFunc(r.signatures, func(s signature) bool { return len(s.sig) == 64 })
		for _, i := range []int{0, 31, 32, 63} {
			add(fmt.Sprintf("bit of byte %d of the signature", i), BadSignature, func(r *Record) { r.signatures[mine].sig[i] ^= 1 })
		}
		add("half a signature", BadSignature, func(r *Record) { r.signatures[mine].sig = r.signatures[mine].sig[:32] })
		add("a longer signature", BadSignature, func(r *Record) { r.signatures[mine].sig = append(r.signatures[mine].sig, 0) })
		add("an empty signature", BadSignature, func(r *Record) { r.signatures[mine].sig = []byte{} })
		add("no second signature", NoSignature, func(r *Record) { r.signatures = r.signatures[mine : mine+1] })
		add("no signature", NoSignature, func(r *Record) { r.signatures = []signature{} })
		add("no first signature", UnknownKey, func(r *Record) { r.signatures = slices.Delete(r.signatures, mine, mine+1) })
		add("one more signature", MoreSignature, func(r *Record) {
			sig, _ := other.sign(pae(r.payload))
			r.signatures = append(r.signatures, signature{other.Public().ID(), sig})
		})
		add("another's signature", MoreSignature, func(r *Record) { sign(t, r, other) })
		add("another's signature under this key's id", BadSignature, func(r *Record) {
			sig, _ := other.sign(pae(r.payload))
			r.signatures[mine].sig = sig
		})
		add("a signature of the payload alone", BadSignature, func(r *Record) { r.signatures[mine].sig, _ = ed.sign(r.payload) })
		add("a signature of another payload type", BadSignature, func(r *Record) {
			r.signatures[mine].sig, _ = ed.sign(bytes.Replace(pae(r.payload), []byte("vnd.in-toto"), []byte("vnd.in-toti"), 1))
		})
		add("a signature by S+L", BadSignature, func(r *Record) { addOrder(r.signatures[mine].sig[32:]) })
		add("signatures the other way round", BadSignature, func(r *Record) {
			r.signatures[0].sig, r.signatures[1].sig = r.signatures[1].sig, r.signatures[0].sig
		})
		add("the signature of another record", BadSignature, func(c *Record) {
			from := all[Finding]
			if kind == Finding {
				from = all[Scan]
			}
			c.signatures[mine].sig = from.signatures[mine].sig
		})
		c := *r
		c.signatures = append(slices.Clone(r.signatures[mine:mine+1]), r.signatures[mine])
		out = append(out, forgery{name: fmt.Sprintf("%s: the same signature twice", kind), file: c.Bytes(), want: []Code{BadValue}})
		// Sealed by a stranger: all is right, but nobody trusts the key.
		out = append(out, forgery{name: fmt.Sprintf("%s: by another key", kind), file: samples(t, other)[kind].Bytes(), want: []Code{UnknownKey}})
	}
	broken := *all[Finding]
	broken.signatures = slices.Clone(broken.signatures)
	i := slices.IndexFunc(broken.signatures, func(s signature) bool { return len(s.sig) > 64 })
	broken.signatures[i].sig = bytes.Clone(broken.signatures[i].sig)
	broken.signatures[i].sig[100] ^= 1
	// The second verifier has no ML-DSA, and says so.
	return append(out, forgery{name: "a bit of the ML-DSA signature", file: broken.Bytes(), want: []Code{BadSignature}, py: []Code{}})
}

// addOrder adds the group's order to a scalar: another spelling of the same.
func addOrder(s []byte) {
	order, carry := mustHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"), 0
	for i := range s {
		carry += int(s[i]) + int(order[i])
		s[i] = byte(carry)
		carry >>= 8
	}
}

func mustHex(s string) []byte {
	var b []byte
	for i := 0; i < len(s); i += 2 {
		v, _ := strconv.ParseUint(s[i:i+2], 16, 8)
		b = append(b, byte(v))
	}
	return b
}

func TestManipulations(t *testing.T) {
	ed, pq := sampleKeys(t)
	all := samples(t, ed, pq)
	trusted := []PublicKey{ed.Public(), pq.Public()}
	list := unsigned(all)
	list = append(list, disclosed(all)...)
	list = append(list, spelled(all[Finding])...)
	list = append(list, signed(t, all, ed, pq)...)
	list = append(list, lies(t, ed, pq)...)
	list = append(list, proofs(t, all, ed)...)
	var files [][]byte
	seen := map[string]bool{}
	for _, f := range list {
		files = append(files, f.file)
		if seen[f.name] {
			t.Errorf("%s: twice", f.name)
		}
		seen[f.name] = true
		_, err := refusal(f.file, trusted)
		var p Problems
		if err == nil || !errors.As(err, &p) || !slices.ContainsFunc(f.want, p.Has) {
			t.Errorf("%s: %v, want %v", f.name, err, f.want)
		}
	}
	t.Logf("%d manipulations", len(list))
	for i, a := range runPython(t, trusted, files) {
		want := list[i].want
		if list[i].py != nil {
			want = list[i].py
		}
		if len(want) == 0 != (len(a.Problems) == 0) || len(want) > 0 && !slices.ContainsFunc(want, a.has) {
			t.Errorf("%s: verify.py: %v, want %v", list[i].name, a.Problems, want)
		}
	}
}

func refusal(file []byte, trusted []PublicKey) (*Sealed, error) {
	r, err := Parse(file)
	if err != nil {
		return nil, err
	}
	return r.Verify(VerifyOptions{Keys: trusted, Log: func(d [32]byte, proof string) error {
		var err error
		for _, k := range trusted {
			if k.Ed25519() == nil {
				continue
			}
			v, verr := translog.Verifier(k.Ed25519())
			if verr != nil {
				return verr
			}
			if _, err = translog.CheckProof([]byte(proof), d, v, nil); err == nil {
				return nil
			}
		}
		return err
	}})
}

// proofs are of another record, another log, or no proofs.
func proofs(t *testing.T, all map[Kind]*Record, ed *Key) (out []forgery) {
	other, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	prove := func(k *Key, more int) map[Kind]string {
		l, err := translog.Open(t.TempDir(), translog.Options{Public: k.Public().Ed25519(), Key: k.Ed25519(), Create: true})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var ds []translog.Digest
		for _, kind := range []Kind{Finding, Scan, Deed, Contest, Decision, Entry} {
			ds = append(ds, all[kind].Digest())
		}
		for i := range more {
			ds = append(ds, translog.Digest{byte(i), 1})
		}
		if _, err := l.Append(ds); err != nil {
			t.Fatal(err)
		}
		m := map[Kind]string{}
		for i, kind := range []Kind{Finding, Scan, Deed, Contest, Decision, Entry} {
			p, err := l.Prove(int64(i))
			if err != nil {
				t.Fatal(err)
			}
			m[kind] = string(p)
		}
		return m
	}
	mine, foreign := prove(ed, 300), prove(other, 300)
	var good [][]byte
	for kind, p := range mine {
		good = append(good, all[kind].WithProof(p).Bytes())
		if _, err := refusal(good[len(good)-1], []PublicKey{ed.Public()}); err != nil {
			t.Errorf("%s with its proof: %v", kind, err)
		}
	}
	for i, a := range runPython(t, []PublicKey{ed.Public()}, good) {
		if len(a.Problems) > 0 || slices.ContainsFunc(a.Notes, func(n [3]string) bool { return strings.Contains(n[0], "proof") }) {
			t.Errorf("record %d with its proof: verify.py: %v %v", i, a.Problems, a.Notes)
		}
	}
	r, p := all[Finding], mine[Finding]
	lines := strings.SplitAfter(p, "\n")
	add := func(name, proof string) {
		if proof == p {
			t.Fatal(name)
		}
		out = append(out, forgery{name: "proof: " + name, file: r.WithProof(proof).Bytes(), want: []Code{BadProof}})
	}
	add("of another record", mine[Scan])
	add("of another log", foreign[Finding])
	add("of nothing", "x")
	add("another index", strings.Replace(p, "index 0", "index 1", 1))
	add("an index beyond", strings.Replace(p, "index 0", "index 306", 1))
	add("an index with a zero before it", strings.Replace(p, "index 0", "index 00", 1))
	add("a hash less", strings.Join(slices.Delete(slices.Clone(lines), 2, 3), ""))
	add("a hash more", strings.Join(slices.Insert(slices.Clone(lines), 2, lines[2]), ""))
	add("hashes the other way round", strings.Join(append([]string{lines[0], lines[1], lines[3], lines[2]}, lines[4:]...), ""))
	add("no checkpoint", strings.Join(lines[:len(lines)-6], ""))
	add("cut", p[:len(p)-10])
	add("another size", strings.Replace(p, "\n306\n", "\n307\n", 1))
	add("another version", strings.Replace(p, "@v1", "@v2", 1))
	line := func(name string, size int) string {
		return "\u2014 " + name + " " + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, size)) + "\n"
	}
	lined := func(n, size int) (s string) {
		for i := range n {
			s += line(fmt.Sprintf("w%d.example", i), size)
		}
		return s
	}
	for _, name := range []string{"a\tb", "a\vb", "a\u0085b", "a\u00a0b", "a\u2003b", "a\u2028b", "a\u3000b", "a+b", "", "a b"} {
		add(fmt.Sprintf("a witness named %q", name), p+line(name, 72))
	}
	add("a signature of 4 bytes", p+line("w.example", 4))
	add("101 signatures", p+lined(100, 72))
	add("a checkpoint of 260 KiB", p+lined(66, 3000))
	add("a line of 64 KiB", p+line("w", 49_147))
	add("a signature that is not whole", p+"\u2014 w AAAAAAA\n")
	add("a signature with too much at its end", p+"\u2014 w AAAAAAA==\n")
	add("a control character", strings.Replace(p, "showcause.dev/host/", "\x1fshowcause.dev/host/", 1))
	add("two line ends at the end", p+"\n")
	add("carriage returns", strings.ReplaceAll(p, "\n", "\r\n"))
	allowed := [][]byte{
		r.WithProof(p + lined(99, 72)).Bytes(), r.WithProof(p + lined(60, 3000)).Bytes(), r.WithProof(p + line("w", 5) + line("w", 5)).Bytes(),
		r.WithProof(p + line("w", 49_146)).Bytes(), r.WithProof(p + "\u2014 w\u200b\x7f AAAAAAB=\n").Bytes(),
	}
	for i, a := range runPython(t, []PublicKey{ed.Public()}, allowed) {
		if _, err := refusal(allowed[i], []PublicKey{ed.Public()}); err != nil || len(a.Problems) > 0 {
			t.Errorf("proof %d with cosignatures: %v, verify.py: %v", i, err, a.Problems)
		}
	}
	add("another origin", strings.Replace(p, "showcause.dev/host/", "showcause.dev/hose/", 1))
	i := strings.LastIndexByte(p, ' ') + 1
	sig, err := base64.StdEncoding.DecodeString(strings.TrimSpace(p[i:]))
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 4, 40, 67} {
		b := bytes.Clone(sig)
		b[at] ^= 1
		add(fmt.Sprintf("bit of byte %d of the checkpoint's signature", at), p[:i]+base64.StdEncoding.EncodeToString(b)+"\n")
	}
	return out
}

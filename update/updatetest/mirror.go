// Package updatetest is for tests of updates: a publisher of databases with a
// key of its own.
package updatetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/showcause/showcause/clamsig/cvd"
)

// Publisher signs databases as ClamAV's publisher does, and keeps what a mirror
// would have.
type Publisher struct {
	Key   *rsa.PrivateKey
	Files map[string][]byte // by name: NAME.cvd, NAME-VERSION.cdiff
	last  map[string]cvd.Set
}

// New makes a publisher with a new key.
func New() (*Publisher, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return &Publisher{Key: key, Files: map[string][]byte{}, last: map[string]cvd.Set{}}, err
}

// Trust is who trusts this publisher and nobody else.
func (p *Publisher) Trust() cvd.Trust {
	k := &p.Key.PublicKey
	return cvd.Trust{Container: k, Info: k, Diff: k}
}

// text is a number in ClamAV's digits.
func text(v *big.Int) string {
	const digits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
	var b strings.Builder
	for v = new(big.Int).Set(v); v.Sign() > 0; v.Rsh(v, 6) {
		b.WriteByte(digits[new(big.Int).And(v, big.NewInt(63)).Int64()])
	}
	return b.String()
}

func (p *Publisher) sign(b []byte) (string, error) {
	sum := sha256.Sum256(b)
	s, err := rsa.SignPSS(rand.Reader, p.Key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: 32})
	return text(new(big.Int).SetBytes(s)), err
}

// Publish makes a version of a database of these members: NAME.cvd, and the
// script that leads to it from the version published before, if there is one.
func (p *Publisher) Publish(name string, version int, members cvd.Set) error {
	info := fmt.Appendf(nil, "ClamAV-VDB:01 Jan 2026 10-00 +0000:%d:3:90:X:X:tester:1767261600\n", version)
	names := slices.Sorted(maps.Keys(members))
	for _, n := range names {
		info = fmt.Appendf(info, "%s:%d:%x\n", n, len(members[n]), sha256.Sum256(members[n]))
	}
	sig, err := p.sign(info)
	if err != nil {
		return err
	}
	info = fmt.Appendf(info, "DSIG:%s\n", sig)
	all := maps.Clone(members)
	all[name+".info"] = info
	if old := p.last[name]; old != nil {
		if err := p.script(name, version, old, all); err != nil {
			return err
		}
	}
	p.last[name] = all

	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	w := tar.NewWriter(z)
	for _, n := range append([]string{name + ".info"}, names...) {
		if err := w.WriteHeader(&tar.Header{Name: n, Mode: 0o644, Size: int64(len(all[n])), Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		if _, err := w.Write(all[n]); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	sum := md5.Sum(body.Bytes())
	raw := new(big.Int).Exp(new(big.Int).SetBytes(sum[:]), p.Key.D, p.Key.N)
	head := fmt.Sprintf("ClamAV-VDB:01 Jan 2026 10-00 +0000:%d:3:90:%x:%s:tester:1767261600", version, sum, text(raw))
	p.Files[name+".cvd"] = append([]byte(head+strings.Repeat(" ", cvd.HeaderSize-len(head))), body.Bytes()...)
	return nil
}

// script makes the .cdiff file between two versions: whole members are replaced.
func (p *Publisher) script(name string, version int, old, fresh cvd.Set) error {
	var s strings.Builder
	for n := range old {
		if !bytes.Equal(old[n], fresh[n]) {
			fmt.Fprintf(&s, "UNLINK %s\n", n)
		}
	}
	for n := range fresh {
		if bytes.Equal(old[n], fresh[n]) {
			continue
		}
		fmt.Fprintf(&s, "OPEN %s\n", n)
		for line := range strings.Lines(string(fresh[n])) {
			fmt.Fprintf(&s, "ADD %s\n", strings.TrimSuffix(line, "\n"))
		}
		s.WriteString("CLOSE\n")
	}
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	if _, err := z.Write([]byte(s.String())); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	b := append(fmt.Appendf(nil, "ClamAV-Diff:%d:%d:", version, s.Len()), body.Bytes()...)
	sig, err := p.sign(b)
	if err != nil {
		return err
	}
	p.Files[fmt.Sprintf("%s-%d.cdiff", name, version)] = append(append(b, ':'), sig...)
	return nil
}

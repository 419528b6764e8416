package scan_test

import (
	"crypto/md5"
	"encoding/binary"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/rule"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/scan"
)

// Where the database is damaged after it was opened, what could have been found there
// is said to be unread.
func TestDamagedDigests(t *testing.T) {
	const text = "a file of the size that there is a rule for"
	sum := md5.Sum([]byte(text))
	var b ruledb.Builder
	if err := b.Digest(&rule.DigestRule{Origin: rule.Origin{Name: "Exact", File: "a.hdb"}, Size: int64(len(text)), Digest: string(sum[:])}); err != nil {
		t.Fatal(err)
	}
	data, err := b.Finish(ruledb.Meta{})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ruledb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	s := scan.New(db, scan.Options{})
	if r := s.Scan(showcause.Bytes(text)); r.Verdict != showcause.Found {
		t.Fatal(r)
	}
	// Its page is the one that begins with a count of 1 and the digest.
	page := binary.LittleEndian.AppendUint16(nil, 1)
	page = append(page, sum[:]...)
	hit := false
	for at := 0; at+len(page) <= len(data); at += 64 {
		if string(data[at:at+len(page)]) == string(page) {
			data[at+5] ^= 1
			hit = true
		}
	}
	if !hit {
		t.Fatal("no page with the digest")
	}
	r := s.Scan(showcause.Bytes(text))
	if r.Verdict != showcause.Incomplete || len(r.Gaps) != 1 || r.Gaps[0].Code != showcause.Unreadable+".rules" {
		t.Error(r)
	}
	if r := s.Scan(showcause.Bytes("another size")); r.Verdict != showcause.NothingFound {
		t.Error(r)
	}
}

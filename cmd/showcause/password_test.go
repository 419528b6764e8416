package main

import (
	"archive/zip"
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/internal/crypt"
)

// sealedZip is a zip with one stored member under WinZip's AES encryption.
func sealedZip(ts *testscript.TestScript, name string, content []byte, password string) []byte {
	const s = crypt.ZipAES(3)
	salt := []byte("0123456789abcdef")
	keys := s.Keys([]byte(password), salt)
	c, err := crypt.CTR(showcause.Bytes(content), keys[:s.Key()])
	ts.Check(err)
	body, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size()))
	ts.Check(err)
	mac := hmac.New(sha1.New, keys[s.Key():])
	mac.Write(body)
	data := bytes.Join([][]byte{salt, s.Verifier([]byte(password), salt), body, mac.Sum(nil)[:crypt.ZipAESTail]}, nil)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.CreateRaw(&zip.FileHeader{
		Name: name, Flags: 1, Method: 99, CRC32: crc32.ChecksumIEEE(content), Extra: []byte("\x01\x99\x07\x00\x01\x00AE\x03\x00\x00"),
		CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(content)),
	})
	ts.Check(err)
	w.Write(data)
	ts.Check(z.Close())
	return b.Bytes()
}

func TestPasswordFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p")
	os.WriteFile(path, []byte("one\r\n\n two \nlast"), 0o600)
	p := passwords{given: []string{"first"}, file: path}
	all, err := p.list()
	if want := "first|one| two |last"; err != nil || string(bytes.Join(all, []byte("|"))) != want {
		t.Errorf("%q, %v", all, err)
	}
	os.WriteFile(path, make([]byte, maxPasswordFile+1), 0o600)
	if _, err := p.list(); err == nil {
		t.Error("a file that is too long")
	}
	p.file = path + "not there"
	if _, err := p.list(); err == nil {
		t.Error("a file that is not there")
	}
}

package image

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/unpacktest"
)

// dmgOf is an image of one partition, in chunks of the kinds given.
func dmgOf(t testing.TB, disk []byte, kinds []uint32) []byte {
	be := binary.BigEndian
	var data, chunks []byte
	per := (len(disk)/sector + len(kinds) - 1) / len(kinds) * sector
	for i, kind := range kinds {
		part := disk[min(i*per, len(disk)):min((i+1)*per, len(disk))]
		var b bytes.Buffer
		switch kind {
		case chunkRaw:
			b.Write(part)
		case chunkZlib:
			w := zlib.NewWriter(&b)
			w.Write(part)
			w.Close()
		case chunkXZ:
			w, err := xz.NewWriter(&b)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(part)
			w.Close()
		case chunkADC:
			for p := part; len(p) > 0; {
				n := min(len(p), 128)
				b.WriteByte(0x80 | byte(n-1))
				b.Write(p[:n])
				p = p[n:]
			}
		case chunkLZFSE: // of lzfseText alone
			z, err := base64.StdEncoding.DecodeString(lzfseSample)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(z)
		case chunkZero:
			clear(part)
		}
		c := be.AppendUint32(nil, kind)
		c = be.AppendUint32(c, 0)
		for _, v := range []int{i * per / sector, len(part) / sector, len(data), b.Len()} {
			c = be.AppendUint64(c, uint64(v))
		}
		chunks = append(chunks, c...)
		data = append(data, b.Bytes()...)
	}
	end := make([]byte, 40)
	be.PutUint32(end, chunkEnd)
	chunks = append(chunks, end...)
	mish := make([]byte, 204)
	copy(mish, "mish")
	be.PutUint64(mish[16:], uint64(len(disk)/sector))
	be.PutUint32(mish[200:], uint32(len(chunks)/40))
	mish = append(mish, chunks...)
	list := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>resource-fork</key><dict><key>blkx</key><array>
<dict><key>Attributes</key><string>0x0050</string><key>Data</key><data>%s</data><key>ID</key><string>0</string><key>Name</key><string>the disk</string></dict>
</array><key>plst</key><array><dict><key>Data</key><data>AAAA</data></dict></array></dict></dict></plist>`, base64.StdEncoding.EncodeToString(mish))
	koly := make([]byte, 512)
	copy(koly, "koly")
	be.PutUint32(koly[60:], 1)
	be.PutUint64(koly[216:], uint64(len(data)))
	be.PutUint64(koly[224:], uint64(len(list)))
	return append(append(data, list...), koly...)
}

func TestDMG(t *testing.T) {
	for name, kinds := range map[string][]uint32{
		"raw": {chunkRaw}, "zlib": {chunkZlib, chunkRaw, chunkZlib}, "xz": {chunkXZ, chunkZero, chunkXZ}, "adc": {chunkADC, chunkIgnore, chunkADC},
	} {
		disk := content(24 * sector)
		if name == "adc" {
			clear(disk[8*sector : 16*sector])
		}
		b := dmgOf(t, disk, kinds)
		got := unpacktest.Walk(t, DMG(), b, showcause.Limits{})
		if len(got.Children) != 1 || len(got.Gaps) > 0 || !bytes.Equal(got.Children[0].Data, disk) || got.Children[0].Name != "the disk" {
			t.Errorf("%s: %s", name, got)
		}
		if name != "xz" || *full { // whose reader takes 8 MiB each time
			unpacktest.Conform(t, DMG(), map[string][]byte{name: b})
		}
	}
}

// lzfse is what package lzfse has a test of.
const lzfseText, lzfseSample = "the same again, and once more: ", "YnZ4MgAIAAAgAAABAAEAcO+Dm6cIAwAgmAAAAAAAAAAAAAAA8CgAAAAAADwKAAAAjw4AAAAAAAAAAAAAAADwAAAAAAAAAAAAjxcAAPAAAAAA8AAAAAAAAAAAAADAI8ED8AA8EjwAD8ADADwGD8NjAA/AA/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEIEQFb81ZBHJn+7F1ZrS/UAYnZ4JA=="

func TestLZFSE(t *testing.T) {
	disk := []byte(strings.Repeat(lzfseText, 70)[:4*sector])
	z, _ := base64.StdEncoding.DecodeString(lzfseSample)
	if got := unpacktest.Walk(t, DMG(), dmgOf(t, disk, []uint32{chunkLZFSE}), showcause.Limits{}); len(got.Children) != 1 || len(got.Gaps) > 0 || !bytes.Equal(got.Children[0].Data, disk) {
		t.Error(got)
	}
	for head, code := range map[string]showcause.Code{"bvx2\x09\x00\x00\x00": showcause.Corrupt, "bvx1": dmgMethod} {
		b := bytes.Replace(dmgOf(t, disk, []uint32{chunkLZFSE}), z, append([]byte(head), z[len(head):]...), 1)
		if got := unpacktest.Walk(t, DMG(), b, showcause.Limits{}); len(got.Gaps) != 1 || got.Gaps[0].Code != code {
			t.Errorf("%q: %s", head, got)
		}
	}
	unpacktest.Conform(t, DMG(), map[string][]byte{"lzfse": dmgOf(t, disk, []uint32{chunkLZFSE})})
}

func TestADC(t *testing.T) {
	// "abc", then a match of 6 from 3 back, then one of 5 with a far distance.
	in := []byte{0x82, 'a', 'b', 'c', 3 << 2, 2, 0x41, 0, 8}
	if got := string(unADC(in, 100)); got != "abc"+"abcabc"+"abcab" {
		t.Errorf("%q", got)
	}
	if got := unADC(in, 4); string(got) != "abca" {
		t.Errorf("%q", got)
	}
	if got := string(unADC([]byte{0x81, 'x', 'y', 0, 9}, 100)); got != "xy" {
		t.Errorf("beyond the start: %q", got)
	}
}

func FuzzDMG(f *testing.F) {
	unpacktest.Fuzz(f, DMG(), dmgOf(f, content(6*sector), []uint32{chunkZlib, chunkRaw}), []byte(strings.Repeat("k", 512)))
}

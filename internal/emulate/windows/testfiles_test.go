package windows

import (
	"bytes"
	"os"
	"testing"

	"github.com/showcause/showcause"
)

// The packers of ClamAV's test files, each around the same program or a zip of it.
func TestTestfiles(t *testing.T) {
	const dir = "/usr/share/clamav-testfiles/"
	clam, err := os.ReadFile(dir + "clam.exe")
	if err != nil {
		t.Skip("clamav-testfiles is not installed")
	}
	for name, body := range map[string]string{
		"aspack": string(clam), "mew": "PK\x01\x02", "pespin": string(clam), "petite": "PK\x01\x02", "upack": "PK\x01\x02", "upx": string(clam), "wwpack": "PK\x01\x02", "yc": string(clam),
	} {
		b, err := os.ReadFile(dir + "clam-" + name + ".exe")
		if err != nil {
			t.Error(err)
			continue
		}
		if bytes.Contains(b, []byte(body)) {
			t.Errorf("%s: it is there before it is unpacked", name)
		}
		r := Run(showcause.Bytes(b), Options{})
		found := false
		for _, i := range r.Images {
			found = found || bytes.Contains(i.Bytes, []byte(body))
		}
		// WWPack's stub writes over itself behind the last byte.
		if !found || !r.Reached && name != "wwpack" {
			t.Errorf("%s: found %v, end %d %q, reached %v, %d images, %d steps", name, found, r.End, r.Last, r.Reached, len(r.Images), r.Steps)
		}
		if again := Run(showcause.Bytes(b), Options{}); again.Steps != r.Steps || len(again.Images) != len(r.Images) || !bytes.Equal(again.Images[0].Bytes, r.Images[0].Bytes) {
			t.Errorf("%s: another run is another one", name)
		}
	}
}

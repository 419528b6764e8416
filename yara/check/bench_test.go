package check

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/showcause/showcause/yara/source"
)

// BenchmarkSignatureBase reads and checks the whole of signature-base.
func BenchmarkSignatureBase(b *testing.B) {
	var texts []string
	err := filepath.WalkDir(data(b, "yara/signature-base"), func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) != ".yar" {
			return err
		}
		text, err := os.ReadFile(path)
		texts = append(texts, string(text))
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var set source.Sources
		var in []Input
		for _, t := range texts {
			src, err := set.Add("x.yar", t)
			if err != nil {
				b.Fatal(err)
			}
			in = append(in, Input{Namespace: "", Source: src})
		}
		Check(&set, in, Options{Externals: ruleSets()})
	}
}

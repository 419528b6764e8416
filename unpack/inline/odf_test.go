package inline

import (
	"testing"

	"github.com/showcause/showcause/unpack"
	"github.com/showcause/showcause/unpack/unpacktest"
)

func TestManifest(t *testing.T) {
	const plain = `<manifest:manifest><manifest:file-entry manifest:full-path="content.xml"/></manifest:manifest>`
	const sealed = `<manifest:manifest><manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data/></manifest:file-entry></manifest:manifest>`
	if r := unpacktest.Walk(t, Manifest(), []byte(plain), noLimits); len(r.Gaps) > 0 {
		t.Error(r)
	}
	if r := unpacktest.Walk(t, Manifest(), []byte(sealed), noLimits); !r.Has("encrypted") {
		t.Error(r)
	}
	if !Manifest().Match(&unpack.Probe{Name: "META-INF/manifest.xml"}) || Manifest().Match(&unpack.Probe{Name: "manifest.xml"}) {
		t.Error("match")
	}
}

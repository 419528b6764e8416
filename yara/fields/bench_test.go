package fields

import (
	"testing"

	"github.com/showcause/showcause/yara/source"
)

// BenchmarkPE is what a layer costs that is a PE file, by what rules ask for.
func BenchmarkPE(b *testing.B) {
	in := executable()
	for _, path := range []string{"is_pe", "number_of_signatures", "sections.[0].name", "import_details.[0].library_name"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v, _ := New(in, Host{}).Module("pe", source.YARAX)
				lookup(v, path)
			}
		})
	}
	b.Run("none", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v, _ := New(memory("hello"), Host{}).Module("pe", source.YARAX)
			lookup(v, "number_of_signatures")
		}
	})
	b.Run("again", func(b *testing.B) {
		v, _ := New(in, Host{}).Module("pe", source.YARAX)
		for b.Loop() {
			lookup(v, "number_of_signatures")
		}
	})
}

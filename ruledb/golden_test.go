package ruledb

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// dump writes a database out with what each stretch means, so that a change of
// the format is a change of a file that is looked at.
func dump(t testing.TB, data []byte) string {
	places, _, err := dissect(data, uint64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	var b strings.Builder
	fmt.Fprintf(&b, "header   magic %q size %d sections %d version %d\n", data[:8], le.Uint64(data[8:]), le.Uint32(data[16:]), le.Uint32(data[20:]))
	for _, p := range places {
		k, s := p.kind, data[p.off:p.off+p.n]
		fmt.Fprintf(&b, "\n%s part %#x, %d bytes\n", k, p.part, len(s))
		switch k {
		case secRules:
			rows[ruleRow](&b, s)
		case secYARA:
			rows[yaraRow](&b, s)
		case secSpaces:
			rows[spaceRow](&b, s)
		case secPatterns:
			rows[patternRow](&b, s)
		case secDigestIndex:
			rows[indexRow](&b, s)
		case secSizes:
			rows[sizeRow](&b, s)
		case secSizeLows:
			rows[uint16](&b, s)
		case secSums:
			rows[pageSum](&b, s)
		case secDigests:
			b.WriteString(hex.Dump(bytes.TrimRight(s, "\x00")))
		case secFiles:
			rows[[2]uint32](&b, s)
		case secUses, secOwners, secAlways, secEagerRefs, secDeferredRefs:
			rows[uint32](&b, s)
		case secEager, secDeferred:
			b.WriteString("  (package literal)\n")
		case secMeta, secNames, secTexts, secSkips, secAbouts, secStems:
			fmt.Fprintf(&b, "  %q\n", s)
		default:
			b.WriteString(hex.Dump(s))
		}
	}
	return b.String()
}

func rows[T row](b *strings.Builder, s []byte) {
	all, err := cast[T](s)
	if err != nil {
		fmt.Fprintf(b, "  %v\n", err)
	}
	for i, r := range all {
		if sum, ok := any(r).(pageSum); ok {
			fmt.Fprintf(b, "  %d: %x\n", i, sum)
			continue
		}
		fmt.Fprintf(b, "  %d: %+v\n", i, r)
	}
}

func TestGolden(t *testing.T) {
	got := dump(t, small(t))
	const file = "testdata/small.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the format is another than %s says; if that is wanted, raise version and run go test -update\n%s", file, got)
	}
}

package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/ruledb"
	"github.com/showcause/showcause/worker/wire"
	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/module"
)

// written is a database of YARA rules.
func written(t *testing.T, externals map[string]any, text string) *ruledb.DB {
	c := yara.NewCompiler(yara.Options{})
	for name, v := range externals {
		if err := c.Define(name, v); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.AddSource("", "a.yar", text); err != nil {
		t.Fatal(err)
	}
	res, diags := c.Check()
	if len(diags.Errors()) > 0 {
		t.Fatal(diags)
	}
	built, err := c.Build(res)
	if err != nil {
		t.Fatal(err)
	}
	return built.DB()
}

// TestLogs holds that the lines that rules write come out of the jail, each with its
// own file, within bounds, and only if they are asked for.
func TestLogs(t *testing.T) {
	db := written(t, nil, `import "console"
rule one { condition: console.log("size ", filesize) }
rule bytes { condition: filesize < 50 and for all i in (0..filesize-1): (console.hex("", uint8(i))) }
rule many { condition: filesize > 50 and for all i in (1..3000): (console.log(i)) }
rule raw { strings: $a = "\x1b[31m" condition: $a and console.log("a\x1b[31mb") }`)
	for _, asked := range []bool{true, false} {
		p := pool(t, nil, Options{DB: db, Logs: asked, Workers: 1}, "real")
		var wg sync.WaitGroup
		for i := range 40 {
			text := strings.Repeat(string(rune('a'+i%26)), i+1)
			if i == 7 {
				text += "\x1b[31m"
			}
			f := tempFile(t, text)
			wg.Add(1)
			p.Submit(context.Background(), f, func(r showcause.Report, err error) {
				defer wg.Done()
				want := []string{fmt.Sprintf("size %d", len(text))}
				for j := range text {
					want = append(want, fmt.Sprintf("0x%x", text[j]))
				}
				if i == 7 {
					want = append(want, `a\x1b[31mb`)
				}
				if !asked {
					want = nil
				}
				if err != nil || !slices.Equal(r.Logs, want) {
					t.Errorf("file %d: %q, want %q, %v", i, r.Logs, want, err)
				}
			})
		}
		wg.Wait()
		r := scanText(t, p, strings.Repeat("x", 60))
		if asked && (len(r.Logs) != wire.MaxLines+1 || r.Logs[wire.MaxLines] != "showcause: 2001 more lines") || !asked && len(r.Logs) > 0 {
			t.Errorf("%d lines: %q", len(r.Logs), r.Logs[max(0, len(r.Logs)-1):])
		}
	}
}

// TestModuleData holds that files for modules reach every reader, the next too.
func TestModuleData(t *testing.T) {
	db := written(t, nil, `import "cuckoo"
rule asked { condition: cuckoo.network.http_request(/one\.example/) }`)
	report := []byte(`{"network": {"http": [{"uri": "http://one.example/x", "method": "GET"}]}}` + strings.Repeat(" ", 1<<20))
	p := pool(t, nil, Options{DB: db, ModuleData: map[string][]byte{"cuckoo": report}, Workers: 2, Recycle: 1}, "real")
	for range 4 {
		if r := scanText(t, p, "anything"); len(r.Findings) != 1 {
			t.Errorf("%v %d findings", r.Verdict, len(r.Findings))
		}
	}
	p = pool(t, nil, Options{DB: db}, "real")
	if r := scanText(t, p, "anything"); len(r.Findings) != 0 {
		t.Error("found without a report")
	}
	if _, err := NewPool(Options{DB: db, ModuleData: map[string][]byte{"cuckoo": make([]byte, wire.MaxModules)}}); err == nil {
		t.Error("more than there is room for")
	}
}

// TestLongExternals gives many files external variables that are as long as they
// may be: more than a message has room for.
func TestLongExternals(t *testing.T) {
	usual := map[string]any{"path": "", "list": []any{1}, "m": map[string]any{"n": 1}}
	db := written(t, usual, `rule here { condition: path endswith "/end" and list[1] == 7 and m.n == 9 }`)
	p := pool(t, nil, Options{DB: db, Workers: 1}, "real")
	var wg sync.WaitGroup
	for i := range 100 {
		end := []string{"/end", "/other"}[i%2]
		f := tempFile(t, "text")
		wg.Add(1)
		p.SubmitWith(context.Background(), f, map[string]module.Value{
			"path": module.TextValue(strings.Repeat("x", 7900) + end), "list": {Kind: module.Array, Ref: module.List{module.IntValue(1), module.IntValue(7)}},
			"m": {Kind: module.Struct, Ref: module.Tree{"n": module.IntValue(9)}},
		}, func(r showcause.Report, err error) {
			defer wg.Done()
			if err != nil || len(r.Findings) != 1-i%2 {
				t.Errorf("file %d: %d findings, %s, %v", i, len(r.Findings), codesOf(&r), err)
			}
		})
	}
	wg.Wait()
	p.SubmitWith(context.Background(), tempFile(t, "text"), map[string]module.Value{"path": module.TextValue(strings.Repeat("x", wire.MaxJobExternals))}, func(_ showcause.Report, err error) {
		if err == nil {
			t.Error("too long")
		}
	})
}

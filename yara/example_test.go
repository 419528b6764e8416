package yara_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing/fstest"

	"github.com/showcause/showcause/yara"
	"github.com/showcause/showcause/yara/source"
)

func ExampleCompile() {
	rules, err := yara.Compile(`
rule greeting : polite {
	meta:
		author = "me"
	strings:
		$hello = "hello" nocase
		$hex = { 77 6F ?? 6C 64 }
	condition:
		all of them
}`, yara.Options{})
	if err != nil {
		log.Fatal(err)
	}
	result, err := rules.Scan([]byte("Hello, world"), yara.ScanOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range result.Matches {
		fmt.Println(m.Name, m.Tags, m.Metas[0].Name, m.Metas[0].Value)
		for _, f := range m.Found {
			fmt.Printf("%s at %d, %d bytes: %q\n", f.Pattern, f.Offset, f.Length, f.Data)
		}
	}
	// Output:
	// greeting [polite] author me
	// $hello at 0, 5 bytes: "Hello"
	// $hex at 7, 5 bytes: "world"
}

// What is wrong with rules has a code that does not change, a place and a text for
// people.
func ExampleDiagnostics() {
	_, err := yara.Compile(`rule r { condition: filename contains "x" }`, yara.Options{})
	var diags yara.Diagnostics
	if errors.As(err, &diags) {
		for _, d := range diags.Errors() {
			fmt.Println(d.Code == source.UnknownIdentifier, d.Line, d.Column)
			fmt.Println(d)
		}
	}
	// Output:
	// true 1 21
	// error[unknown_identifier]: unknown identifier `filename`
	//  --> rules:1:21
	//   |
	// 1 | rule r { condition: filename contains "x" }
	//   |                     ^^^^^^^^ nothing of that name is known here
}

// Rules of several sources, with namespaces, external variables and includes.
func ExampleCompiler() {
	c := yara.NewCompiler(yara.Options{
		Dialect: source.YARA,
		Include: yara.FromFS(fstest.MapFS{"base.yar": {Data: []byte(`rule base { condition: filesize > limit }`)}}),
	})
	if err := c.Define("limit", 3); err != nil {
		log.Fatal(err)
	}
	if err := c.AddSource("mine", "mine.yar", `include "base.yar" rule r { condition: base }`); err != nil {
		log.Fatal(err)
	}
	rules, err := c.Compile()
	if err != nil {
		log.Fatal(err)
	}
	for _, data := range []string{"abc", "abcd"} {
		result, err := rules.Scan([]byte(data), yara.ScanOptions{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(data, len(result.Matches))
	}
	// Another value for one scan.
	result, err := rules.Scan([]byte("abcd"), yara.ScanOptions{Externals: map[string]any{"limit": 4}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(result.Matches))
	// Output:
	// abc 0
	// abcd 2
	// 0
}

func ExampleRules_Save() {
	rules, err := yara.Compile(`rule r { strings: $a = "needle" condition: $a }`, yara.Options{})
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "rules.scdb")
	var b bytes.Buffer
	if err := rules.Save(&b); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		log.Fatal(err)
	}
	loaded, err := yara.Load(path)
	if err != nil {
		log.Fatal(err)
	}
	defer loaded.Close()
	result, err := loaded.Scan([]byte("hay needle hay"), yara.ScanOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Matches[0].Name, result.Matches[0].Found[0].Offset)
	// Output: r 4
}

// A Scanner for many inputs, with the lines that rules write.
func ExampleScanner() {
	rules, err := yara.Compile(`import "console" rule r { condition: console.log("size ", filesize) }`, yara.Options{})
	if err != nil {
		log.Fatal(err)
	}
	s := rules.NewScanner(yara.ScanOptions{Console: func(line string) { fmt.Println(line) }})
	for _, data := range []string{"one", "three"} {
		result, err := s.Scan(context.Background(), bytes.NewReader([]byte(data)))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(result.Matches), result.Complete())
	}
	// Output:
	// size 3
	// 1 true
	// size 5
	// 1 true
}

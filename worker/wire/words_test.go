package wire

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/showcause/showcause"
	"github.com/showcause/showcause/unpack/formats"
)

// sources are the packages that make ops and codes.
var sources = []string{"../../unpack", "../../view", "../../scan", "../../internal/codec", "../../internal/bound"}

// notWords look like words and are none, with the reason.
var notWords = map[string]string{
	"wsock32.dll":  "a library",
	"oleaut32.dll": "a library",

	"index.json": "a file of an image", "manifest.json": "a file of an image", "layer.tar": "a file of an image",
	"com.apple.decmpfs": "an attribute", "content.xml": "a part of an OpenDocument file",
}

// dynamic are the places where a word is put together from parts that are not
// constants, and what the lists have for them.
var dynamic = map[string]string{
	`stem(?) + "."`:                 "the name of an import, which is digested",
	`"zip." + zipMethodWord(?)`:     "zipMethods",
	`"lha." + ?`:                    "lhaOp",
	`? + ".rest"`:                   "giveFiles, for chm",
	`? + ".lzx"`:                    "giveFiles, for chm",
	`"." + ?`:                       "a file name of KWAJ",
	`"zip." + ?`:                    "zipMethods",
	`"zip." + ? + ?`:                "zipMethods with .decrypted",
	`".method." + ?`:                "zipMethods",
	`".method." + zipMethodWord(?)`: "zipMethods",
	`? + ".message"`:                "methodOps with .message",
	`? + ".multipart"`:              "methodOps with .multipart",
	`"format." + ?`:                 "types",
	`"packer." + ?`:                 "packers",
	`showcause.Unsupported + ".packer." + showcause.Code(?)`: "packers",
	`showcause.Unsupported + "." + showcause.Code(?)`:        "the two above",
}

// parsed is the source of all packages that make words.
func parsed(t *testing.T, dirs ...string) map[string]*ast.File {
	out := map[string]*ast.File{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case e.IsDir() && (e.Name() == "testdata" || e.Name() == "unpacktest"):
				return filepath.SkipDir
			case e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			out[path] = f
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// rootCodes are the constants of the root package.
func rootCodes(t *testing.T) map[string]string {
	out := map[string]string{}
	for _, f := range parsed(t, "../../verdict.go") {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				if v := s.(*ast.ValueSpec); len(v.Values) == 1 {
					if lit, ok := v.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
						out[v.Names[0].Name], _ = strconv.Unquote(lit.Value)
					}
				}
			}
		}
	}
	if len(out) < 10 {
		t.Fatalf("the codes of verdict.go: %v", out)
	}
	return out
}

// fold works a constant expression out, or tells how it is put together.
func fold(e ast.Expr, codes map[string]string) (value, shape string, constant bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, _ := strconv.Unquote(e.Value)
			return s, e.Value, true
		}
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok && x.Name == "showcause" {
			if v, ok := codes[e.Sel.Name]; ok {
				return v, "showcause." + e.Sel.Name, true
			}
		}
	case *ast.CallExpr:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Code" && len(e.Args) == 1 {
			v, _, ok := fold(e.Args[0], codes)
			return v, "showcause.Code(?)", ok
		}
		if f, ok := e.Fun.(*ast.Ident); ok {
			return "", f.Name + "(?)", false
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			a, as, aok := fold(e.X, codes)
			b, bs, bok := fold(e.Y, codes)
			return a + b, as + " + " + bs, aok && bok
		}
	}
	return "", "?", false
}

var (
	isWord = regexp.MustCompile(`^[a-z0-9]+(\.[a-z0-9-]+)+$`)
	isPart = regexp.MustCompile(`"\.[a-z]|[a-z0-9]\."|"\."`)
)

// TestWordsInSource holds the lists against every constant of the source that
// looks like a word of theirs, and knows every place that makes one.
func TestWordsInSource(t *testing.T) {
	w, codes := newWords(), rootCodes(t)
	made := map[string]bool{}
	seen := map[string]bool{}
	check := func(path, word string) {
		if !isWord.MatchString(word) || notWords[word] != "" {
			return
		}
		seen[word] = true
		_, op := w.opOf[word]
		_, code := w.codeOf[showcause.Code(word)]
		if !op && !code && word != string(showcause.LimitTime) {
			t.Errorf("%s: %q is in no list of words.go", path, word)
		}
	}
	for path, f := range parsed(t, sources...) {
		ast.Inspect(f, func(n ast.Node) bool {
			switch e := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.BinaryExpr:
				value, shape, constant := fold(e, codes)
				switch {
				case constant:
					check(path, value)
					return false
				case e.Op == token.ADD && isPart.MatchString(shape):
					made[shape] = true
					if dynamic[shape] == "" {
						t.Errorf("%s: %s makes words that nobody has thought of", path, shape)
					}
					return false
				}
			case *ast.AssignStmt:
				if e.Tok == token.ADD_ASSIGN && len(e.Rhs) == 1 {
					if _, shape, ok := fold(e.Rhs[0], codes); ok && isPart.MatchString(shape) {
						made["? + "+shape] = true
						if dynamic["? + "+shape] == "" {
							t.Errorf("%s: += %s makes words that nobody has thought of", path, shape)
						}
					}
				}
			case *ast.BasicLit:
				if v, _, ok := fold(e, codes); ok {
					check(path, v)
				}
			}
			return true
		})
	}
	for shape := range dynamic {
		if !made[shape] {
			t.Logf("%s does not occur any more", shape)
		}
	}
	if len(seen) < 70 {
		t.Errorf("only %d words found: is the source where it was?", len(seen))
	}
	for _, c := range codes {
		if c := showcause.Code(c); c != showcause.LimitTime && w.codeOf[c] == 0 {
			t.Errorf("%q is in no list", c)
		}
	}
}

// TestWordsOfTables holds the lists against the tables that words are taken from.
func TestWordsOfTables(t *testing.T) {
	have := map[string]bool{}
	for _, f := range parsed(t, "../../unpack/zip") {
		ast.Inspect(f, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && v.Names[0].Name == "zipMethods" {
				for _, e := range v.Values[0].(*ast.CompositeLit).Elts {
					s, _ := strconv.Unquote(e.(*ast.KeyValueExpr).Value.(*ast.BasicLit).Value)
					have[s] = true
				}
			}
			return true
		})
	}
	have["unknown"] = true
	if want := slices.Sorted(slices.Values(zipMethods())); !slices.Equal(slices.Sorted(maps.Keys(have)), want) {
		t.Errorf("methods of zip %v, the list has %v", slices.Sorted(maps.Keys(have)), want)
	}

	names := map[string]bool{}
	text := func(e ast.Expr) {
		if b, ok := e.(*ast.BasicLit); ok && b.Kind == token.STRING {
			if s, _ := strconv.Unquote(b.Value); s != "" {
				names[s] = true
			}
		}
	}
	tables := map[string]int{"codes": 0, "sectionNames": 0, "marks": 0, "behind": 0}
	for _, f := range parsed(t, "../../unpack/exe") {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				if _, ok := tables[n.Names[0].Name]; ok && len(n.Values) == 1 {
					for _, e := range n.Values[0].(*ast.CompositeLit).Elts {
						tables[n.Names[0].Name]++
						text(e.(*ast.CompositeLit).Elts[0])
					}
				}
			case *ast.KeyValueExpr:
				if k, ok := n.Key.(*ast.Ident); ok && k.Name == "archive" {
					text(n.Value)
				}
			case *ast.FuncDecl:
				if strings.HasPrefix(n.Name.Name, "packer") || n.Name.Name == "carrier" || n.Name.Name == "Packer" {
					ast.Inspect(n, func(n ast.Node) bool {
						if r, ok := n.(*ast.ReturnStmt); ok {
							for _, e := range r.Results {
								text(e)
							}
						}
						return true
					})
				}
			}
			return true
		})
	}
	for name, n := range tables {
		if n == 0 {
			t.Errorf("unpack/exe: no table %s any more", name)
		}
	}
	if want := slices.Sorted(slices.Values(packers())); !slices.Equal(slices.Sorted(maps.Keys(names)), want) {
		t.Errorf("packers %v, the list has %v", slices.Sorted(maps.Keys(names)), want)
	}
}

func TestLists(t *testing.T) {
	w := newWords()
	if len(w.types) > 256 || len(w.ops) > 1<<16 || len(w.codes) > 1<<16 || len(formats.All()) > MaxFormats {
		t.Error("a list is too long for its number")
	}
	for _, l := range []int{len(w.typeOf) - len(w.types), len(w.opOf) - len(w.ops), len(w.codeOf) - len(w.codes)} {
		if l != 0 {
			t.Error("a word stands twice")
		}
	}
	if w.types[w.typeOf["no such type"]] != "data" || w.ops[w.opOf["no.such.op"]] != otherOp || w.codes[w.codeOf["no.such.code"]] != otherCode {
		t.Error("an unknown word is not the word for others")
	}
	if !otherCode.Unread() {
		t.Error("an unknown code says that all was read")
	}
	for _, c := range w.codes {
		for _, only := range []showcause.Code{showcause.LimitTime, showcause.Crash + ".protocol", showcause.Crash + ".exit"} {
			if c == only {
				t.Errorf("a reader can say %s", c)
			}
		}
	}
}

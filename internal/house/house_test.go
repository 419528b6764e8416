package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/showcause/showcause"

	maxExports       = 40   // identifiers a package
	maxPackageLines  = 3000 // without tests; "about", so a tenth more passes
	maxFileLines     = 1000
	maxFunctionLines = 150
)

// banned are names of packages that everything would come to import.
var banned = regexp.MustCompile(`^(utils?|common|helpers?|managers?|misc)$`)

// A pkg is what the test knows of one package.
type pkg struct {
	imports map[string]string // of this module, outside tests, with the place of one import
	exports int
	lines   int
}

// floors reads the table: package to floor. Planned packages have a "+".
func floors(t *testing.T) map[string]int {
	text, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^(\d+)(\+?) +([a-z/]+) +\S`)
	out := map[string]int{}
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		floor, _ := strconv.Atoi(m[1])
		name := m[3]
		if name == "showcause" {
			name = "."
		}
		_, err := os.Stat(filepath.Join("../..", name))
		switch {
		case m[2] == "" && err != nil:
			t.Errorf("docs/architecture.md: %s does not exist; a planned package is marked with +", name)
		case m[2] == "+" && err == nil:
			t.Errorf("docs/architecture.md: %s exists; take its + away", name)
		}
		out[name] = floor
	}
	if len(out) < 10 {
		t.Fatalf("docs/architecture.md: table of floors not found: %d rows", len(out))
	}
	return out
}

func packages(t *testing.T) map[string]*pkg {
	out := map[string]*pkg{}
	root := filepath.Clean("../..")
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if e.IsDir() {
			if rel == "tools" || rel != "." && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		lines := strings.Count(string(text), "\n")
		if lines > maxFileLines {
			t.Errorf("%s: %d lines, at most %d", rel, lines, maxFileLines)
		}
		test := strings.HasSuffix(path, "_test.go")
		name := filepath.Dir(rel)
		if out[name] == nil {
			out[name] = &pkg{imports: map[string]string{}}
		}
		p := out[name]
		if !test {
			p.lines += lines
			for _, i := range file.Imports {
				if imp := strings.Trim(i.Path.Value, `"`); imp == module {
					p.imports["."] = rel
				} else if in, ok := strings.CutPrefix(imp, module+"/"); ok {
					p.imports[in] = rel
				}
			}
		}
		inspect(t, set, file, rel, test, p)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// inspect measures functions, counts exports and looks for what is not done here.
func inspect(t *testing.T, set *token.FileSet, file *ast.File, rel string, test bool, p *pkg) {
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if n := set.Position(d.End()).Line - set.Position(d.Pos()).Line + 1; n > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, at most %d", rel, d.Name.Name, n, maxFunctionLines)
			}
			if d.Recv == nil && d.Name.Name == "init" {
				t.Errorf("%s: init(): things are listed, not registered", rel)
			}
			if !test && d.Recv == nil && d.Name.IsExported() {
				p.exports++
			}
		case *ast.GenDecl:
			if test {
				continue
			}
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					if s.Name.IsExported() {
						p.exports++
					}
				case *ast.ValueSpec:
					// Constants of one enumeration count as their type does.
					if d.Tok == token.VAR && s.Names[0].IsExported() {
						p.exports++
					}
				}
			}
		}
	}
}

func TestFloors(t *testing.T) {
	floor := floors(t)
	pkgs := packages(t)
	for name, p := range pkgs {
		if _, ok := floor[name]; !ok {
			t.Errorf("%s: not in the table of docs/architecture.md", name)
			continue
		}
		for imp, file := range p.imports {
			if f, ok := floor[imp]; !ok || f >= floor[name] && !(floor[name] == 0 && imp == ".") {
				t.Errorf("%s: %s (floor %d) imports %s (floor %d)", file, name, floor[name], imp, f)
			}
		}
		if banned.MatchString(filepath.Base(name)) {
			t.Errorf("%s: a name that says nothing", name)
		}
		if p.exports > maxExports {
			t.Errorf("%s: %d exported identifiers, at most %d", name, p.exports, maxExports)
		}
		if p.lines > maxPackageLines+maxPackageLines/10 {
			t.Errorf("%s: %d lines without tests, at most about %d", name, p.lines, maxPackageLines)
		}
	}
}

// TestNoNetwork holds that what reads files cannot speak, and knows no clock: nothing
// that a scan uses imports net, os/exec or time.
func TestNoNetwork(t *testing.T) {
	root := filepath.Clean("../..")
	pkgs := packages(t)
	used := map[string]bool{}
	queue := []string{"scan", "unpack/formats"}
	for len(queue) > 0 {
		dir := queue[0]
		queue = queue[1:]
		if used[dir] {
			continue
		}
		used[dir] = true
		for imp := range pkgs[dir].imports {
			queue = append(queue, imp)
		}
	}
	if !used["internal/codec"] || !used["."] {
		t.Error("the packages that a scan uses were not found")
	}
	for dir := range used {
		files, _ := filepath.Glob(filepath.Join(root, dir, "*.go"))
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range file.Imports {
				switch imp := strings.Trim(i.Path.Value, `"`); imp {
				case "time":
					if dir == "binary/authenticode" {
						continue // times that signatures tell
					}
					fallthrough
				case "net", "net/http", "os/exec", "plugin", "C":
					t.Errorf("%s imports %s", f, imp)
				}
			}
		}
	}
}

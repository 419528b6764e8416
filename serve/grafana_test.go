package serve

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/showcause/showcause/serve/records"
)

// The dashboard asks for metrics that there are, and every metric has a place on it.
func TestDashboard(t *testing.T) {
	b, err := os.ReadFile("../dist/grafana/showcause.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ H, W, X, Y int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &board); err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`showcause_[a-z_]+`)
	there := map[string]bool{}
	s := Status{Rules: RulesStatus{Version: "27700/Fri Nov 20 09:00:00 2026"}, Doors: []DoorStatus{{Door: "clamd"}}, Records: &records.Status{}}
	s.Rules.Released = Released(s.Rules.Version)
	for line := range strings.Lines(s.metrics()) {
		if !strings.HasPrefix(line, "#") {
			there[name.FindString(line)] = true
		}
	}
	if len(there) < 25 {
		t.Errorf("%d metrics", len(there))
	}
	ids, used := map[int]bool{}, map[string]bool{}
	for i, p := range board.Panels {
		if ids[p.ID] || p.Title == "" || len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d: %+v", i, p)
		}
		ids[p.ID] = true
		for j, q := range board.Panels[:i] {
			a, b := p.GridPos, q.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panels %d and %d lie on each other", i, j)
			}
		}
		for _, x := range p.Targets {
			if strings.Count(x.Expr, "(") != strings.Count(x.Expr, ")") || strings.Count(x.Expr, "{") != strings.Count(x.Expr, "}") {
				t.Errorf("%s: %s", p.Title, x.Expr)
			}
			for _, m := range name.FindAllString(x.Expr, -1) {
				if used[m] = true; !there[m] {
					t.Errorf("%s asks for %s, which there is not", p.Title, m)
				}
			}
		}
	}
	for m := range there {
		if !used[m] {
			t.Errorf("%s is on no panel", m)
		}
	}
}

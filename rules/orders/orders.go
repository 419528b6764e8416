// Package orders are the orders and calendars that ship with Showcause.
package orders

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/showcause/showcause/directive"
	"github.com/showcause/showcause/directive/clock"
)

//go:embed *.yaml calendars/*.yaml
var files embed.FS

// Template is the id of the order that a company's own begins with.
const Template = "company-template"

// IDs returns the ids of the orders that ship, in order.
func IDs() (out []string) {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic("orders: " + err.Error())
	}
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".yaml"); ok {
			out = append(out, id)
		}
	}
	return out
}

// Text returns the text of an order that ships. An unknown id is fs.ErrNotExist.
func Text(id string) ([]byte, error) {
	if !slices.Contains(IDs(), id) {
		return nil, fmt.Errorf("order %q: %w; these ship: %s", id, fs.ErrNotExist, strings.Join(IDs(), ", "))
	}
	return files.ReadFile(id + ".yaml")
}

// Order reads an order that ships.
func Order(id string) (*directive.Order, error) {
	text, err := Text(id)
	if err != nil {
		return nil, err
	}
	return directive.Parse(id+".yaml", text, Calendar)
}

// Calendar returns a calendar that ships, or nil.
func Calendar(id string) *clock.Calendar {
	text, err := files.ReadFile("calendars/" + id + ".yaml")
	if err != nil {
		return nil
	}
	c := &clock.Calendar{}
	if err := yaml.Unmarshal(text, c); err != nil || c.Prepare() != nil {
		return nil
	}
	return c
}

package module

import (
	"fmt"
	"strconv"
	"strings"
)

// Value is a value in a condition. The zero Value is undefined.
type Value struct {
	Kind  Kind
	Int   int64 // Int; Bool: 0 or 1
	Float float64
	Text  string // String: bytes; Regexp: the expression, as it stands without its slashes
	Flags string // Regexp: the letters after it
	Ref   any    // Struct: Fields; Array: Items; Map: Pairs; Func: a Function
}

// Fields are the values of a structure. A field that is not there is undefined.
type Fields interface{ Field(name string) Value }

// Items are the values of an array. An index outside is undefined.
type Items interface {
	Len() int
	At(i int64) Value
}

// Pairs are the values of a map. A key that is not there is undefined.
type Pairs interface {
	Len() int
	Pair(i int) (key, value Value)
	Find(key Value) Value
}

// Function is a function with all its forms: the kinds of the arguments say which.
type Function func(args []Value) Value

// IntValue is an integer.
func IntValue(n int64) Value { return Value{Kind: Int, Int: n} }

// FloatValue is a float.
func FloatValue(f float64) Value { return Value{Kind: Float, Float: f} }

// TextValue is a string.
func TextValue(s string) Value { return Value{Kind: String, Text: s} }

// BoolValue is a boolean.
func BoolValue(b bool) Value {
	v := Value{Kind: Bool}
	if b {
		v.Int = 1
	}
	return v
}

// Defined says whether a value is not undefined.
func (v Value) Defined() bool { return v.Kind != Undefined }

// Truth is what a value is as a boolean: not zero, not empty. An undefined value
// is false.
func (v Value) Truth() bool {
	switch v.Kind {
	case Bool, Int:
		return v.Int != 0
	case Float:
		return v.Float != 0
	case String:
		return v.Text != ""
	}
	return false
}

// Tree is Fields, from a map.
type Tree map[string]Value

// Field is the value of that name.
func (t Tree) Field(name string) Value { return t[name] }

// List is Items, from a slice.
type List []Value

// Len is the number of values.
func (l List) Len() int { return len(l) }

// At is value i.
func (l List) At(i int64) Value {
	if i < 0 || i >= int64(len(l)) {
		return Value{}
	}
	return l[i]
}

// Constants are the fields of a module of type t: its constants, and all others
// from the module, which can be nil.
func Constants(t *Type, from Fields) Value {
	return Value{Kind: Struct, Ref: withConstants{t, from}}
}

type withConstants struct {
	t    *Type
	from Fields
}

func (w withConstants) Field(name string) Value {
	f := w.t.Field(name)
	switch {
	case f == nil:
		return Value{}
	case f.Const != nil:
		return *f.Const
	case f.Type.Kind == Struct:
		var inner Fields
		if w.from != nil {
			inner, _ = w.from.Field(name).Ref.(Fields)
		}
		return Constants(f.Type, inner)
	case w.from == nil:
		return Value{}
	}
	return w.from.Field(name)
}

// numberValue reads a number of a description.
func numberValue(word string) (Value, error) {
	if strings.Contains(word, ".") && !strings.HasPrefix(word, "0x") {
		f, err := strconv.ParseFloat(word, 64)
		return FloatValue(f), err
	}
	n, err := strconv.ParseInt(word, 0, 64)
	if err != nil {
		return Value{}, fmt.Errorf("constant: %w", err)
	}
	return IntValue(n), nil
}

// textValue reads a text of a description.
func textValue(word string) (Value, error) {
	s, err := strconv.Unquote(word)
	if err != nil {
		return Value{}, fmt.Errorf("constant %s: %w", word, err)
	}
	return TextValue(s), nil
}

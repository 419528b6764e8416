package clamsig

import "strings"

// Handler returns the type that a logical signature asks a layer to be read as where it is
// found ("CL_TYPE_PDF"), "" if none.
func Handler(text string) string {
	_, rest, _ := strings.Cut(text, ";")
	tdb, _, ok := strings.Cut(rest, ";")
	if !ok {
		return ""
	}
	handler := ""
	for item := range strings.SplitSeq(tdb, ",") {
		if value, is := strings.CutPrefix(item, "HandlerType:"); is {
			handler = value // the last holds
		}
	}
	return handler
}

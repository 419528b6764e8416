package evidence

import (
	"strings"
	"testing"
)

// lies are records that a host with its own key has made of false statements:
// the signature and the commitments are right, and what they say is not.
func lies(t *testing.T, keys ...*Key) (out []forgery) {
	all := samples(t, keys...)
	p := "/predicate"
	set := func(where string, v node) func(n *node) { return func(n *node) { *at(n, where) = v } }
	add := func(where string, key string, v node) func(n *node) {
		return func(n *node) {
			o := at(n, where)
			o.members = append(o.members, member{key, v})
		}
	}
	without := func(where string) func(n *node) { return func(n *node) { drop(n, where) } }
	gap := func(code string, off, length int64) node {
		return node{kind: object, members: []member{{"code", str(code)}, {"offset", num(off)}, {"length", num(length)}}}
	}
	match := func(a, b, c int64) node {
		return node{kind: object, members: []member{{"pattern", num(a)}, {"offset", num(b)}, {"length", num(c)}}}
	}
	list := func(v ...node) node { return node{kind: array, list: v} }
	f, m, c, d := Finding, p+"/matches", p+"/coverage", p+"/derivation"
	rule, cov := p+"/rules/rule", c
	for _, x := range []struct {
		kind Kind
		name string
		want Code
		edit func(n *node)
	}{
		// Where it hit.
		{f, "offset beyond the layer", BadMatch, set(m+"/0/offset", num(3995))},
		{f, "offset at the end", BadMatch, set(m+"/1/offset", num(4000))},
		{f, "negative offset", BadMatch, set(m+"/0/offset", num(-1))},
		{f, "length beyond the layer", BadMatch, set(m+"/0/length", num(4000))},
		{f, "negative length", BadMatch, set(m+"/0/length", num(-6))},
		{f, "offset and length at the greatest number", BadMatch, func(n *node) {
			*at(n, m+"/1/offset"), *at(n, m+"/1/length") = num(maxInteger), num(maxInteger)
		}},
		{f, "matches out of order", BadMatch, func(n *node) {
			l := at(n, m)
			l.list[0], l.list[1] = l.list[1], l.list[0]
		}},
		{f, "a match twice", BadMatch, func(n *node) {
			l := at(n, m)
			l.list[1] = l.list[0]
		}},
		{f, "match of a pattern that is not there", BadMatch, set(m+"/2/pattern", num(70_000))},
		{f, "match of a negative pattern", BadMatch, set(m+"/0/pattern", num(-1))},
		{f, "match of a pattern past the counts", BadCount, set(m+"/2/pattern", num(3))},
		{f, "match outside its anchor", BadMatch, set(m+"/2/offset", num(1))},
		{f, "a match removed", BadCount, without(m + "/1")},
		{f, "all matches removed", BadCount, set(m, list())},
		{f, "a match added", BadCount, set(m, list(match(0, 10, 6), match(0, 90, 6), match(0, 99, 6), match(1, 0, 2)))},
		{f, "seventeen matches", BadMatch, func(n *node) {
			l := at(n, m)
			var more []node
			for i := range int64(17) {
				more = append(more, match(0, 10*i, 2))
			}
			l.list = append(more, l.list[2])
			*at(n, p+"/counts/0") = num(17)
		}},
		{f, "a count raised", BadCount, set(p+"/counts/1", num(5))},
		{f, "a count lowered", BadCount, set(p+"/counts/0", num(1))},
		{f, "a count of a pattern without a match", BadCount, set(p+"/counts/2", num(1))},
		{f, "a negative count", BadValue, set(p+"/counts/2", num(-1))},
		{f, "a count less", BadCount, without(p + "/counts/2")},
		{f, "a count more", BadCount, func(n *node) {
			l := at(n, p+"/counts")
			l.list = append(l.list, num(0))
		}},
		{f, "counts empty", BadShape, set(p+"/counts", list())},
		{f, "one pattern's matches moved to the other", BadCondition, func(n *node) {
			*at(n, m) = list(match(0, 10, 6))
			*at(n, p+"/counts") = list(num(1), num(0), num(0))
		}},
		{f, "no match at all", BadCondition, func(n *node) {
			drop(n, m)
			drop(n, p+"/counts")
		}},

		// The rule.
		{f, "text changed", BadRuleDigest, set(rule+"/text", str(sampleLDB+"64"))},
		{f, "text's digest changed", BadRuleDigest, set(rule+"/digest", str(sum("x")))},
		{f, "text of another rule", BadCondition, retext(rule, "Test.Marker-1;Engine:51-255,Target:0;0&1&2;6d61726b6572;0:504b;616263")},
		{f, "text of another name", BadRuleName, retext(rule, strings.Replace(sampleLDB, "Marker-1", "Marker-2", 1))},
		{f, "name changed", BadRuleName, set(rule+"/name", str("Test.Marker-2"))},
		{f, "name empty", BadValue, set(rule+"/name", str(""))},
		{f, "name with a line end", BadValue, set(rule+"/name", str("a\nb"))},
		{f, "no rule in the text", BadRuleText, retext(rule, "hello")},
		{f, "an expression that is none", BadRuleText, retext(rule, "Test.Marker-1;Engine:51-255,Target:0;(0&1;6d61726b6572;504b")},
		{f, "more patterns than subsignatures", BadRuleText, retext(rule, "Test.Marker-1;Engine:51-255,Target:0;0&3;6d61726b6572;504b")},
		{f, "two lines", BadRuleText, retext(rule, sampleLDB+"\n"+sampleLDB)},
		{f, "rule of another size", BadCondition, retext(rule, strings.Replace(sampleLDB, "Target:0", "Target:0,FileSize:1-3999", 1))},
		{f, "file of no database", BadRuleText, set(rule+"/file", str("test.txt"))},
		{f, "language unknown", BadValue, set(rule+"/language", str("snort"))},
		{f, "negative index", BadValue, set(rule+"/index", num(-1))},
		{f, "negative line", BadValue, set(rule+"/line", num(-1))},
		{f, "text in base64 that is UTF-8", BadValue, func(n *node) {
			drop(n, rule+"/text")
			add(rule, "base64", str("YWJj"))(n)
		}},
		{f, "text in two forms", BadShape, add(rule, "base64", str("/w=="))},
		{f, "base64 that is none", BadValue, func(n *node) {
			drop(n, rule+"/text")
			add(rule, "base64", str("????"))(n)
		}},
		{f, "no rule", BadShape, without(rule)},
		{f, "no rules", BadShape, without(p + "/rules")},
		{f, "database digest in capitals", BadValue, set(p+"/rules/database", str(strings.ToUpper(sum("database"))))},
		{f, "database digest short", BadValue, set(p+"/rules/database", str("abc"))},

		// The verdict.
		{f, "verdict nothing-found", BadVerdict, set(p+"/verdict", str("nothing-found"))},
		{f, "verdict incomplete", BadVerdict, set(p+"/verdict", str("incomplete"))},
		{f, "verdict error", BadVerdict, set(p+"/verdict", str("error"))},
		{f, "verdict clean", BadValue, set(p+"/verdict", str("clean"))},
		{f, "no verdict", BadShape, without(p + "/verdict")},
		{f, "allowed, and nothing-found over a gap", BadVerdict, func(n *node) {
			add(rule, "allowed", str("Allow.1"))(n)
			*at(n, p+"/verdict") = str("nothing-found")
		}},
		{f, "allowed, and incomplete without a gap", BadVerdict, func(n *node) {
			add(rule, "allowed", str("Allow.1"))(n)
			*at(n, p+"/verdict") = str("incomplete")
			*at(n, cov+"/complete") = node{kind: boolean, number: 1}
			drop(n, cov+"/gaps")
		}},

		// What was looked at.
		{f, "a gap removed", BadCoverage, without(c + "/gaps")},
		{f, "the gaps empty", BadShape, set(c+"/gaps", list())},
		{f, "complete over a gap", BadCoverage, set(c+"/complete", node{kind: boolean, number: 1})},
		{f, "a gap made a note", BadCoverage, set(c+"/gaps/0/code", str("ambiguous.zip.size"))},
		{f, "a gap of an unknown code", BadValue, set(c+"/gaps/0/code", str("skipped"))},
		{f, "a gap of no code", BadValue, set(c+"/gaps/0/code", str(""))},
		{f, "a gap with a code of another's words", BadValue, set(c+"/gaps/0/code", str("corrupt.\u202e"))},
		{f, "a gap before the layer", BadValue, set(c+"/gaps/0/offset", num(-1))},
		{f, "a gap of negative length", BadValue, set(c+"/gaps/0/length", num(-2))},
		{f, "a gap beyond the file", BadCoverage, set(c+"/gaps/0", gap("corrupt", 1001, -1))},
		{f, "a gap's trail by a negative index", BadTrail, set(c+"/gaps/0/trail/0/index", num(-1))},
		{f, "a gap's trail by no operation", BadTrail, set(c+"/gaps/0/trail/0/op", str(""))},
		{f, "a gap's trail by a name", BadTrail, set(c+"/gaps/0/trail/0/op", str("rechnung nr. 5"))},
		{f, "a gap's trail empty", BadShape, set(c+"/gaps/0/trail", list())},
		{f, "too few objects", BadCoverage, set(c+"/objects", num(2))},
		{f, "too little depth", BadCoverage, set(c+"/depth", num(1))},
		{f, "too few bytes", BadCoverage, func(n *node) {
			drop(n, c+"/gaps")
			*at(n, c+"/complete") = node{kind: boolean, number: 1}
			*at(n, c+"/bytes") = num(5499)
		}},
		{f, "negative work", BadValue, set(c+"/work", num(-1))},
		{f, "files in a finding", BadShape, add(c, "files", num(1))},
		{f, "no coverage", BadShape, without(c)},

		// From the file to the layer.
		{f, "a layer's digest is none", BadValue, set(d+"/0/digest/sha256", str("abc"))},
		{f, "a layer without a digest", BadValue, set(d+"/0/digest", node{kind: object})},
		{f, "a layer's digest named otherwise", BadField, set(d+"/0/digest", node{kind: object, members: []member{{"sha512", str(sum("x"))}}})},
		{f, "a layer as the name of a scan", BadShape, set(d+"/1/digest", node{kind: object, members: []member{{"scan", str(sum("x"))}}})},
		{f, "digests swapped", BadID, oldID(func(n *node) {
			a, b := at(n, d+"/0/digest"), at(n, d+"/1/digest")
			*a, *b = *b, *a
		})},
		{f, "the last layer smaller than the matches", BadMatch, set(d+"/1/size", num(50))},
		{f, "a layer of negative size", BadValue, set(d+"/0/size", num(-1))},
		{f, "a layer of more bytes than were read", BadCoverage, func(n *node) {
			drop(n, c+"/gaps")
			*at(n, c+"/complete") = node{kind: boolean, number: 1}
			*at(n, d+"/0/size") = num(5000)
		}},
		{f, "a step removed", BadMatch, func(n *node) { drop(n, d+"/1"); *at(n, d+"/0/size") = num(20) }},
		{f, "no steps, written down", BadShape, set(d, list())},
		{f, "a step by a negative index", BadValue, set(d+"/0/index", num(-1))},
		{f, "a step by a name", BadValue, set(d+"/0/op", str("rechnung nr. 5"))},
		{f, "a step with a parameter of another's words", BadValue, add(d+"/0", "params", node{kind: object, members: []member{{"name\n", str("x")}}})},
		{f, "a step without parameters, written down", BadShape, add(d+"/0", "params", node{kind: object})},
		{f, "a file of negative size", BadValue, set(p+"/input/size", num(-5))},
		{f, "no file", BadShape, without(p + "/input")},
		{f, "subject's digest is none", BadValue, set("/subject/0/digest/sha256", str("z"))},
		{f, "subject's MD5 is none", BadValue, add("/subject/0/digest", "md5", str(sum("x")))},
		{f, "two subjects", BadShape, func(n *node) {
			s := at(n, "/subject")
			v := *clone(&s.list[0])
			v.members[0].value = node{kind: object, members: []member{{"commitment", str(sum("x"))}}}
			s.list = append(s.list, v)
		}},
		{f, "no subject", BadShape, set("/subject", list())},
		{f, "subject with a name", BadField, add("/subject/0", "name", str("rechnung.zip"))},

		// Engine and policy.
		{f, "a limit changed", BadPolicy, set(p+"/policy/limits/depth", num(3))},
		{f, "an option changed", BadPolicy, set(p+"/policy/options/input.bytes", str("5"))},
		{f, "an option added", BadPolicy, add(p+"/policy/options", "formats", str("none"))},
		{f, "an option removed", BadPolicy, without(p + "/policy/options")},
		{f, "the policy's digest changed", BadPolicy, set(p+"/policy/digest", str(sum("x")))},
		{f, "a negative limit", BadValue, set(p+"/policy/limits/work", num(-1))},
		{f, "a limit removed", BadShape, without(p + "/policy/limits/work")},
		{f, "no policy", BadShape, without(p + "/policy")},
		{f, "binary's digest is none", BadValue, set(p+"/engine/binary", str(""))},
		{f, "no version", BadValue, set(p+"/engine/version", str(""))},
		{f, "no engine", BadShape, without(p + "/engine")},
		{f, "no revision, written down", BadShape, set(p+"/engine/revision", str(""))},

		// Time, context, id.
		{f, "id of another record", BadID, oldID(set(p+"/engine/version", str("showcause v2.0.0")))},
		{f, "id is none", BadValue, oldID(set(p+"/id", str("abc")))},
		{f, "id empty", BadShape, oldID(set(p+"/id", str("")))},
		{f, "time of another zone", BadValue, set(p+"/time/observed", str("2026-11-21T14:00:00+01:00"))},
		{f, "time with a fraction", BadValue, set(p+"/time/observed", str("2026-11-21T14:00:00.5Z"))},
		{f, "time that is none", BadValue, set(p+"/time/observed", str("2026-02-30T14:00:00Z"))},
		{f, "leap second", BadValue, set(p+"/time/observed", str("2026-06-30T23:59:60Z"))},
		{f, "no time", BadShape, without(p + "/time")},
		{f, "path empty", BadShape, set(p+"/context/path", str(""))},
		{f, "path with a line end", BadValue, set(p+"/context/path", str("/tmp/a\nb"))},
		{f, "path with a control character of two bytes", BadValue, set(p+"/context/path", str("/tmp/\u0085"))},
		{f, "host of another kind", BadShape, set(p+"/context/host", num(5))},
		{f, "jail of another's words", BadValue, set(p+"/context/jail", str("all fine!"))},
		{f, "a key less in the payload", MoreSignature, without(p + "/context/keys/0")},
		{f, "no keys in the payload", BadValue, set(p+"/context/keys", list())},
		{f, "keys out of order", BadValue, func(n *node) {
			k := at(n, p+"/context/keys")
			k.list[0], k.list[1] = k.list[1], k.list[0]
		}},
		{f, "a key more in the payload", NoSignature, func(n *node) {
			k := at(n, p+"/context/keys")
			k.list = append(k.list, str(strings.Repeat("f", 64)))
		}},
		{f, "paths in a finding", BadShape, add(p+"/context", "paths", list(str("/a")))},
		{f, "an action in a finding", BadShape, func(n *node) { add(p, "action", *at(all[Deed].mustNode(), p+"/action"))(n) }},

		// What kind it is.
		{f, "a finding called an action", BadShape, set("/predicateType", str("https://showcause.dev/action/v1"))},
		{f, "a finding of a later version", BadType, set("/predicateType", str("https://showcause.dev/finding/v2"))},
		{f, "an unknown kind", BadType, set("/predicateType", str("https://showcause.dev/waiver/v1"))},
		{f, "a kind at another place", BadType, set("/predicateType", str("https://example.com/finding/v1"))},
		{f, "a later statement", BadType, set("/_type", str("https://in-toto.io/Statement/v2"))},

		// Scans.
		{Scan, "a file more", BadCoverage, set(c+"/files", num(5))},
		{Scan, "a verdict changed", BadCoverage, set(c+"/verdicts/found", num(2))},
		{Scan, "an incomplete file made clean", BadCoverage, func(n *node) {
			drop(n, c+"/verdicts/incomplete")
			*at(n, c+"/verdicts/nothing-found") = num(2)
		}},
		{Scan, "a verdict of no kind", BadCoverage, add(c+"/verdicts", "clean", num(1))},
		{Scan, "none of a verdict, written down", BadCoverage, set(c+"/verdicts/found", num(0))},
		{Scan, "an input removed", BadShape, without(c + "/inputs/0")},
		{Scan, "an input and its path removed", BadCoverage, func(n *node) { drop(n, c+"/inputs/0"); drop(n, p+"/context/paths/0") }},
		{Scan, "an input's gaps removed", BadVerdict, without(c + "/inputs/0/gaps")},
		{Scan, "an input's verdict changed", BadVerdict, set(c+"/inputs/0/verdict", str("nothing-found"))},
		{Scan, "an input's verdict is none", BadValue, set(c+"/inputs/0/verdict", str("ok"))},
		{Scan, "an input's gap beyond it", BadCoverage, set(c+"/inputs/0/gaps/0/offset", num(101))},
		{Scan, "an input's digest is none", BadValue, set(c+"/inputs/0/digest/sha256", str("x"))},
		{Scan, "an input of negative size", BadValue, set(c+"/inputs/0/size", num(-2))},
		{Scan, "complete", BadCoverage, set(c+"/complete", node{kind: boolean, number: 1})},
		{Scan, "verdict of the scan", BadVerdict, set(p+"/verdict", str("nothing-found"))},
		{Scan, "fewer objects than files", BadCoverage, set(c+"/objects", num(2))},
		{Scan, "part 3 of 2", BadCoverage, func(n *node) { add(c, "part", num(3))(n); add(c, "parts", num(2))(n) }},
		{Scan, "part of nothing", BadCoverage, add(c, "part", num(1))},
		{Scan, "a scan of a file", BadShape, set("/subject/0/digest", node{kind: object, members: []member{{"sha256", str(sum("x"))}}})},
		{Scan, "another scan", BadShape, set(p+"/context/scan", str(sum("other scan")))},
		{Scan, "name of a scan that is none", BadValue, func(n *node) {
			*at(n, p+"/context/scan"), *at(n, "/subject/0/digest/scan") = str("x"), str("x")
		}},
		{Scan, "a rule", BadShape, func(n *node) { add(p+"/rules", "rule", *at(all[Finding].mustNode(), rule))(n) }},

		// Actions, contests, decisions.
		{Deed, "no action", BadShape, without(p + "/action")},
		{Deed, "of no record", BadValue, set(p+"/action/record", str(""))},
		{Deed, "a deed of another's words", BadValue, set(p+"/action/deed", str("take it!"))},
		{Deed, "a result of no words", BadValue, set(p+"/action/result", str(""))},
		{Deed, "a detail with a line end", BadValue, set(p+"/action/detail/method", str("a\nb"))},
		{Deed, "a verdict", BadShape, add(p, "verdict", str("found"))},
		{Contest, "no contest", BadShape, without(p + "/contest")},
		{Contest, "no reason", BadShape, without(p + "/contest/reason")},
		{Contest, "an empty reason", BadShape, set(p+"/contest/reason", str(""))},
		{Contest, "of no record", BadValue, set(p+"/contest/record", str("x"))},
		{Decision, "of no contest", BadValue, set(p+"/decision/contest", str("x"))},
		{Decision, "an outcome that is none", BadValue, set(p+"/decision/outcome", str("dismissed"))},
		{Decision, "a decision called a contest", BadShape, set("/predicateType", str("https://showcause.dev/contest/v1"))},
	} {
		n := all[x.kind].mustNode()
		before := at(n, p+"/id").text
		x.edit(n)
		if id := at(n, p).member("id"); id != nil && id.text == before {
			renew(n)
		} else if id != nil {
			id.text = strings.TrimPrefix(id.text, "old:")
		}
		out = append(out, forgery{name: "lie: " + string(x.kind) + ": " + x.name, file: reseal(t, n, keys...), want: []Code{x.want}})
	}
	return out
}

// mustNode returns the clear statement of a record as JSON.
func (r *Record) mustNode() *node {
	n, err := r.statement.node()
	if err != nil {
		panic(err)
	}
	return n
}

// retext gives a rule another text, with its digest.
func retext(rule, s string) func(n *node) {
	return func(n *node) {
		at(n, rule+"/text").text = s
		at(n, rule+"/digest").text = hexSum([]byte(s))
	}
}

// oldID keeps the id as it is, where otherwise a new one would be made.
func oldID(edit func(n *node)) func(n *node) {
	return func(n *node) {
		edit(n)
		at(n, "/predicate/id").text = "old:" + at(n, "/predicate/id").text
	}
}

// renew makes the id anew.
func renew(n *node) {
	c := clone(n)
	for _, k := range []string{"id", "time", "action", "context"} {
		at(c, "/predicate").remove(k)
	}
	at(n, "/predicate/id").text = hexSum(c.canonical(nil))
}

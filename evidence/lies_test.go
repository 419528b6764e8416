package evidence

import (
	"strings"
	"testing"
)

// lie is a false statement that a host with its own key has sealed: the
// signature and the commitments are right, and what they say is not.
type lie struct {
	kind Kind
	name string
	want Code
	edit func(n *node)
}

// Places that lies are told about.
const (
	predicateAt  = "/predicate"
	matchesAt    = predicateAt + "/matches"
	coverageAt   = predicateAt + "/coverage"
	derivationAt = predicateAt + "/derivation"
)

func setAt(where string, v node) func(n *node) { return func(n *node) { *at(n, where) = v } }

func addTo(where string, key string, v node) func(n *node) {
	return func(n *node) {
		o := at(n, where)
		o.members = append(o.members, member{key, v})
	}
}

func leaveOut(where string) func(n *node) { return func(n *node) { drop(n, where) } }

func gapNode(code string, off, length int64) node {
	return node{kind: object, members: []member{{"code", str(code)}, {"offset", num(off)}, {"length", num(length)}}}
}

func matchNode(a, b, c int64) node {
	return node{kind: object, members: []member{{"pattern", num(a)}, {"offset", num(b)}, {"length", num(c)}}}
}

func listOf(v ...node) node { return node{kind: array, list: v} }

// lies are all of them, sealed.
func lies(t *testing.T, keys ...*Key) (out []forgery) {
	all := samples(t, keys...)
	for _, part := range []func(map[Kind]*Record) []lie{
		liesOfMatches, liesOfRule, liesOfVerdict, liesOfCoverage, liesOfDerivation, liesOfPolicy, liesOfContext, liesOfKind, liesOfScans, liesOfDeeds,
	} {
		for _, x := range part(all) {
			n := all[x.kind].mustNode()
			before := at(n, predicateAt+"/id").text
			x.edit(n)
			if id := at(n, predicateAt).member("id"); id != nil && id.text == before {
				renew(n)
			} else if id != nil {
				id.text = strings.TrimPrefix(id.text, "old:")
			}
			out = append(out, forgery{name: "lie: " + string(x.kind) + ": " + x.name, file: reseal(t, n, keys...), want: []Code{x.want}})
		}
	}
	return out
}

// liesOfMatches: where it hit.
func liesOfMatches(map[Kind]*Record) []lie {
	return []lie{
		{Finding, "offset beyond the layer", BadMatch, setAt(matchesAt+"/0/offset", num(3995))},
		{Finding, "offset at the end", BadMatch, setAt(matchesAt+"/1/offset", num(4000))},
		{Finding, "negative offset", BadMatch, setAt(matchesAt+"/0/offset", num(-1))},
		{Finding, "length beyond the layer", BadMatch, setAt(matchesAt+"/0/length", num(4000))},
		{Finding, "negative length", BadMatch, setAt(matchesAt+"/0/length", num(-6))},
		{Finding, "offset and length at the greatest number", BadMatch, func(n *node) {
			*at(n, matchesAt+"/1/offset"), *at(n, matchesAt+"/1/length") = num(maxInteger), num(maxInteger)
		}},
		{Finding, "matches out of order", BadMatch, func(n *node) {
			l := at(n, matchesAt)
			l.list[0], l.list[1] = l.list[1], l.list[0]
		}},
		{Finding, "a match twice", BadMatch, func(n *node) {
			l := at(n, matchesAt)
			l.list[1] = l.list[0]
		}},
		{Finding, "match of a pattern that is not there", BadMatch, setAt(matchesAt+"/2/pattern", num(70_000))},
		{Finding, "match of a negative pattern", BadMatch, setAt(matchesAt+"/0/pattern", num(-1))},
		{Finding, "match of a pattern past the counts", BadCount, setAt(matchesAt+"/2/pattern", num(3))},
		{Finding, "match outside its anchor", BadMatch, setAt(matchesAt+"/2/offset", num(1))},
		{Finding, "a match removed", BadCount, leaveOut(matchesAt + "/1")},
		{Finding, "all matches removed", BadCount, setAt(matchesAt, listOf())},
		{Finding, "a match added", BadCount, setAt(matchesAt, listOf(matchNode(0, 10, 6), matchNode(0, 90, 6), matchNode(0, 99, 6), matchNode(1, 0, 2)))},
		{Finding, "seventeen matches", BadMatch, func(n *node) {
			l := at(n, matchesAt)
			var more []node
			for i := range int64(17) {
				more = append(more, matchNode(0, 10*i, 2))
			}
			l.list = append(more, l.list[2])
			*at(n, predicateAt+"/counts/0") = num(17)
		}},
		{Finding, "a count raised", BadCount, setAt(predicateAt+"/counts/1", num(5))},
		{Finding, "a count lowered", BadCount, setAt(predicateAt+"/counts/0", num(1))},
		{Finding, "a count of a pattern without a match", BadCount, setAt(predicateAt+"/counts/2", num(1))},
		{Finding, "a negative count", BadValue, setAt(predicateAt+"/counts/2", num(-1))},
		{Finding, "a count less", BadCount, leaveOut(predicateAt + "/counts/2")},
		{Finding, "a count more", BadCount, func(n *node) {
			l := at(n, predicateAt+"/counts")
			l.list = append(l.list, num(0))
		}},
		{Finding, "counts empty", BadShape, setAt(predicateAt+"/counts", listOf())},
		{Finding, "one pattern's matches moved to the other", BadCondition, func(n *node) {
			*at(n, matchesAt) = listOf(matchNode(0, 10, 6))
			*at(n, predicateAt+"/counts") = listOf(num(1), num(0), num(0))
		}},
		{Finding, "no match at all", BadCondition, func(n *node) {
			drop(n, matchesAt)
			drop(n, predicateAt+"/counts")
		}},
	}
}

// liesOfRule: the rule.
func liesOfRule(map[Kind]*Record) []lie {
	return []lie{
		{Finding, "text changed", BadRuleDigest, setAt(ruleAt+"/text", str(sampleLDB+"64"))},
		{Finding, "text's digest changed", BadRuleDigest, setAt(ruleAt+"/digest", str(sum("x")))},
		{Finding, "text of another rule", BadCondition, retext(ruleAt, "Test.Marker-1;Engine:51-255,Target:0;0&1&2;6d61726b6572;0:504b;616263")},
		{Finding, "text of another name", BadRuleName, retext(ruleAt, strings.Replace(sampleLDB, "Marker-1", "Marker-2", 1))},
		{Finding, "name changed", BadRuleName, setAt(ruleAt+"/name", str("Test.Marker-2"))},
		{Finding, "name empty", BadValue, setAt(ruleAt+"/name", str(""))},
		{Finding, "name with a line end", BadValue, setAt(ruleAt+"/name", str("a\nb"))},
		{Finding, "no rule in the text", BadRuleText, retext(ruleAt, "hello")},
		{Finding, "an expression that is none", BadRuleText, retext(ruleAt, "Test.Marker-1;Engine:51-255,Target:0;(0&1;6d61726b6572;504b")},
		{Finding, "more patterns than subsignatures", BadRuleText, retext(ruleAt, "Test.Marker-1;Engine:51-255,Target:0;0&3;6d61726b6572;504b")},
		{Finding, "two lines", BadRuleText, retext(ruleAt, sampleLDB+"\n"+sampleLDB)},
		{Finding, "rule of another size", BadCondition, retext(ruleAt, strings.Replace(sampleLDB, "Target:0", "Target:0,FileSize:1-3999", 1))},
		{Finding, "file of no database", BadRuleText, setAt(ruleAt+"/file", str("test.txt"))},
		{Finding, "language unknown", BadValue, setAt(ruleAt+"/language", str("snort"))},
		{Finding, "negative index", BadValue, setAt(ruleAt+"/index", num(-1))},
		{Finding, "negative line", BadValue, setAt(ruleAt+"/line", num(-1))},
		{Finding, "text in base64 that is UTF-8", BadValue, func(n *node) {
			drop(n, ruleAt+"/text")
			addTo(ruleAt, "base64", str("YWJj"))(n)
		}},
		{Finding, "text in two forms", BadShape, addTo(ruleAt, "base64", str("/w=="))},
		{Finding, "base64 that is none", BadValue, func(n *node) {
			drop(n, ruleAt+"/text")
			addTo(ruleAt, "base64", str("????"))(n)
		}},
		{Finding, "no rule", BadShape, leaveOut(ruleAt)},
		{Finding, "no rules", BadShape, leaveOut(predicateAt + "/rules")},
		{Finding, "database digest in capitals", BadValue, setAt(predicateAt+"/rules/database", str(strings.ToUpper(sum("database"))))},
		{Finding, "database digest short", BadValue, setAt(predicateAt+"/rules/database", str("abc"))},
	}
}

// liesOfVerdict: the verdict.
func liesOfVerdict(map[Kind]*Record) []lie {
	return []lie{
		{Finding, "verdict nothing-found", BadVerdict, setAt(predicateAt+"/verdict", str("nothing-found"))},
		{Finding, "verdict incomplete", BadVerdict, setAt(predicateAt+"/verdict", str("incomplete"))},
		{Finding, "verdict error", BadVerdict, setAt(predicateAt+"/verdict", str("error"))},
		{Finding, "verdict clean", BadValue, setAt(predicateAt+"/verdict", str("clean"))},
		{Finding, "no verdict", BadShape, leaveOut(predicateAt + "/verdict")},
		{Finding, "allowed, and nothing-found over a gap", BadVerdict, func(n *node) {
			addTo(ruleAt, "allowed", str("Allow.1"))(n)
			*at(n, predicateAt+"/verdict") = str("nothing-found")
		}},
		{Finding, "allowed, and incomplete without a gap", BadVerdict, func(n *node) {
			addTo(ruleAt, "allowed", str("Allow.1"))(n)
			*at(n, predicateAt+"/verdict") = str("incomplete")
			*at(n, coverageAt+"/complete") = node{kind: boolean, number: 1}
			drop(n, coverageAt+"/gaps")
		}},
	}
}

// liesOfCoverage: what was looked at.
func liesOfCoverage(map[Kind]*Record) []lie {
	return []lie{
		{Finding, "a gap removed", BadCoverage, leaveOut(coverageAt + "/gaps")},
		{Finding, "the gaps empty", BadShape, setAt(coverageAt+"/gaps", listOf())},
		{Finding, "complete over a gap", BadCoverage, setAt(coverageAt+"/complete", node{kind: boolean, number: 1})},
		{Finding, "a gap made a note", BadCoverage, setAt(coverageAt+"/gaps/0/code", str("ambiguous.zip.size"))},
		{Finding, "a gap of an unknown code", BadValue, setAt(coverageAt+"/gaps/0/code", str("skipped"))},
		{Finding, "a gap of no code", BadValue, setAt(coverageAt+"/gaps/0/code", str(""))},
		{Finding, "a gap with a code of another's words", BadValue, setAt(coverageAt+"/gaps/0/code", str("corrupt.\u202e"))},
		{Finding, "a gap before the layer", BadValue, setAt(coverageAt+"/gaps/0/offset", num(-1))},
		{Finding, "a gap of negative length", BadValue, setAt(coverageAt+"/gaps/0/length", num(-2))},
		{Finding, "a gap beyond the file", BadCoverage, setAt(coverageAt+"/gaps/0", gapNode("corrupt", 1001, -1))},
		{Finding, "a gap's trail by a negative index", BadTrail, setAt(coverageAt+"/gaps/0/trail/0/index", num(-1))},
		{Finding, "a gap's trail by no operation", BadTrail, setAt(coverageAt+"/gaps/0/trail/0/op", str(""))},
		{Finding, "a gap's trail by a name", BadTrail, setAt(coverageAt+"/gaps/0/trail/0/op", str("rechnung nr. 5"))},
		{Finding, "a gap's trail empty", BadShape, setAt(coverageAt+"/gaps/0/trail", listOf())},
		{Finding, "too few objects", BadCoverage, setAt(coverageAt+"/objects", num(2))},
		{Finding, "too little depth", BadCoverage, setAt(coverageAt+"/depth", num(1))},
		{Finding, "too few bytes", BadCoverage, func(n *node) {
			drop(n, coverageAt+"/gaps")
			*at(n, coverageAt+"/complete") = node{kind: boolean, number: 1}
			*at(n, coverageAt+"/bytes") = num(5499)
		}},
		{Finding, "negative work", BadValue, setAt(coverageAt+"/work", num(-1))},
		{Finding, "files in a finding", BadShape, addTo(coverageAt, "files", num(1))},
		{Finding, "no coverage", BadShape, leaveOut(coverageAt)},
	}
}

// liesOfDerivation: from the file to the layer.
func liesOfDerivation(map[Kind]*Record) []lie {
	return []lie{
		{Finding, "a layer's digest is none", BadValue, setAt(derivationAt+"/0/digest/sha256", str("abc"))},
		{Finding, "a layer without a digest", BadValue, setAt(derivationAt+"/0/digest", node{kind: object})},
		{Finding, "a layer's digest named otherwise", BadField, setAt(derivationAt+"/0/digest", node{kind: object, members: []member{{"sha512", str(sum("x"))}}})},
		{Finding, "a layer as the name of a scan", BadShape, setAt(derivationAt+"/1/digest", node{kind: object, members: []member{{"scan", str(sum("x"))}}})},
		{Finding, "digests swapped", BadID, oldID(func(n *node) {
			a, b := at(n, derivationAt+"/0/digest"), at(n, derivationAt+"/1/digest")
			*a, *b = *b, *a
		})},
		{Finding, "the last layer smaller than the matches", BadMatch, setAt(derivationAt+"/1/size", num(50))},
		{Finding, "a layer of negative size", BadValue, setAt(derivationAt+"/0/size", num(-1))},
		{Finding, "a layer of more bytes than were read", BadCoverage, func(n *node) {
			drop(n, coverageAt+"/gaps")
			*at(n, coverageAt+"/complete") = node{kind: boolean, number: 1}
			*at(n, derivationAt+"/0/size") = num(5000)
		}},
		{Finding, "a step removed", BadMatch, func(n *node) { drop(n, derivationAt+"/1"); *at(n, derivationAt+"/0/size") = num(20) }},
		{Finding, "no steps, written down", BadShape, setAt(derivationAt, listOf())},
		{Finding, "a step by a negative index", BadValue, setAt(derivationAt+"/0/index", num(-1))},
		{Finding, "a step by a name", BadValue, setAt(derivationAt+"/0/op", str("rechnung nr. 5"))},
		{Finding, "a step with a parameter of another's words", BadValue, addTo(derivationAt+"/0", "params", node{kind: object, members: []member{{"name\n", str("x")}}})},
		{Finding, "a step without parameters, written down", BadShape, addTo(derivationAt+"/0", "params", node{kind: object})},
		{Finding, "a file of negative size", BadValue, setAt(predicateAt+"/input/size", num(-5))},
		{Finding, "no file", BadShape, leaveOut(predicateAt + "/input")},
		{Finding, "subject's digest is none", BadValue, setAt("/subject/0/digest/sha256", str("z"))},
		{Finding, "subject's MD5 is none", BadValue, addTo("/subject/0/digest", "md5", str(sum("x")))},
		{Finding, "two subjects", BadShape, func(n *node) {
			s := at(n, "/subject")
			v := *clone(&s.list[0])
			v.members[0].value = node{kind: object, members: []member{{"commitment", str(sum("x"))}}}
			s.list = append(s.list, v)
		}},
		{Finding, "no subject", BadShape, setAt("/subject", listOf())},
		{Finding, "subject with a name", BadField, addTo("/subject/0", "name", str("rechnung.zip"))},
	}
}

// liesOfPolicy: engine and policy.
func liesOfPolicy(map[Kind]*Record) []lie {
	return []lie{
		{Finding, "a limit changed", BadPolicy, setAt(predicateAt+"/policy/limits/depth", num(3))},
		{Finding, "an option changed", BadPolicy, setAt(predicateAt+"/policy/options/input.bytes", str("5"))},
		{Finding, "an option added", BadPolicy, addTo(predicateAt+"/policy/options", "formats", str("none"))},
		{Finding, "an option removed", BadPolicy, leaveOut(predicateAt + "/policy/options")},
		{Finding, "the policy's digest changed", BadPolicy, setAt(predicateAt+"/policy/digest", str(sum("x")))},
		{Finding, "a negative limit", BadValue, setAt(predicateAt+"/policy/limits/work", num(-1))},
		{Finding, "a limit removed", BadShape, leaveOut(predicateAt + "/policy/limits/work")},
		{Finding, "no policy", BadShape, leaveOut(predicateAt + "/policy")},
		{Finding, "binary's digest is none", BadValue, setAt(predicateAt+"/engine/binary", str(""))},
		{Finding, "no version", BadValue, setAt(predicateAt+"/engine/version", str(""))},
		{Finding, "no engine", BadShape, leaveOut(predicateAt + "/engine")},
		{Finding, "no revision, written down", BadShape, setAt(predicateAt+"/engine/revision", str(""))},
	}
}

// liesOfContext: time, context, id.
func liesOfContext(all map[Kind]*Record) []lie {
	return []lie{
		{Finding, "id of another record", BadID, oldID(setAt(predicateAt+"/engine/version", str("showcause v2.0.0")))},
		{Finding, "id is none", BadValue, oldID(setAt(predicateAt+"/id", str("abc")))},
		{Finding, "id empty", BadShape, oldID(setAt(predicateAt+"/id", str("")))},
		{Finding, "time of another zone", BadValue, setAt(predicateAt+"/time/observed", str("2026-11-21T14:00:00+01:00"))},
		{Finding, "time with a fraction", BadValue, setAt(predicateAt+"/time/observed", str("2026-11-21T14:00:00.5Z"))},
		{Finding, "time that is none", BadValue, setAt(predicateAt+"/time/observed", str("2026-02-30T14:00:00Z"))},
		{Finding, "leap second", BadValue, setAt(predicateAt+"/time/observed", str("2026-06-30T23:59:60Z"))},
		{Finding, "no time", BadShape, leaveOut(predicateAt + "/time")},
		{Finding, "path empty", BadShape, setAt(predicateAt+"/context/path", str(""))},
		{Finding, "path with a line end", BadValue, setAt(predicateAt+"/context/path", str("/tmp/a\nb"))},
		{Finding, "path with a control character of two bytes", BadValue, setAt(predicateAt+"/context/path", str("/tmp/\u0085"))},
		{Finding, "host of another kind", BadShape, setAt(predicateAt+"/context/host", num(5))},
		{Finding, "jail of another's words", BadValue, setAt(predicateAt+"/context/jail", str("all fine!"))},
		{Finding, "a key less in the payload", MoreSignature, leaveOut(predicateAt + "/context/keys/0")},
		{Finding, "no keys in the payload", BadValue, setAt(predicateAt+"/context/keys", listOf())},
		{Finding, "keys out of order", BadValue, func(n *node) {
			k := at(n, predicateAt+"/context/keys")
			k.list[0], k.list[1] = k.list[1], k.list[0]
		}},
		{Finding, "a key more in the payload", NoSignature, func(n *node) {
			k := at(n, predicateAt+"/context/keys")
			k.list = append(k.list, str(strings.Repeat("f", 64)))
		}},
		{Finding, "paths in a finding", BadShape, addTo(predicateAt+"/context", "paths", listOf(str("/a")))},
		{Finding, "an action in a finding", BadShape, func(n *node) { addTo(predicateAt, "action", *at(all[Deed].mustNode(), predicateAt+"/action"))(n) }},
	}
}

// liesOfKind: what kind it is.
func liesOfKind(map[Kind]*Record) []lie {
	return []lie{
		{Finding, "a finding called an action", BadShape, setAt("/predicateType", str("https://showcause.dev/action/v1"))},
		{Finding, "a finding of a later version", BadType, setAt("/predicateType", str("https://showcause.dev/finding/v2"))},
		{Finding, "an unknown kind", BadType, setAt("/predicateType", str("https://showcause.dev/waiver/v1"))},
		{Finding, "a kind at another place", BadType, setAt("/predicateType", str("https://example.com/finding/v1"))},
		{Finding, "a later statement", BadType, setAt("/_type", str("https://in-toto.io/Statement/v2"))},
	}
}

// liesOfScans: scans.
func liesOfScans(all map[Kind]*Record) []lie {
	return []lie{
		{Scan, "a file more", BadCoverage, setAt(coverageAt+"/files", num(5))},
		{Scan, "a verdict changed", BadCoverage, setAt(coverageAt+"/verdicts/found", num(2))},
		{Scan, "an incomplete file made clean", BadCoverage, func(n *node) {
			drop(n, coverageAt+"/verdicts/incomplete")
			*at(n, coverageAt+"/verdicts/nothing-found") = num(2)
		}},
		{Scan, "a verdict of no kind", BadCoverage, addTo(coverageAt+"/verdicts", "clean", num(1))},
		{Scan, "none of a verdict, written down", BadCoverage, setAt(coverageAt+"/verdicts/found", num(0))},
		{Scan, "an input removed", BadShape, leaveOut(coverageAt + "/inputs/0")},
		{Scan, "an input and its path removed", BadCoverage, func(n *node) { drop(n, coverageAt+"/inputs/0"); drop(n, predicateAt+"/context/paths/0") }},
		{Scan, "an input's gaps removed", BadVerdict, leaveOut(coverageAt + "/inputs/0/gaps")},
		{Scan, "an input's verdict changed", BadVerdict, setAt(coverageAt+"/inputs/0/verdict", str("nothing-found"))},
		{Scan, "an input's verdict is none", BadValue, setAt(coverageAt+"/inputs/0/verdict", str("ok"))},
		{Scan, "an input's gap beyond it", BadCoverage, setAt(coverageAt+"/inputs/0/gaps/0/offset", num(101))},
		{Scan, "an input's digest is none", BadValue, setAt(coverageAt+"/inputs/0/digest/sha256", str("x"))},
		{Scan, "an input of negative size", BadValue, setAt(coverageAt+"/inputs/0/size", num(-2))},
		{Scan, "complete", BadCoverage, setAt(coverageAt+"/complete", node{kind: boolean, number: 1})},
		{Scan, "verdict of the scan", BadVerdict, setAt(predicateAt+"/verdict", str("nothing-found"))},
		{Scan, "fewer objects than files", BadCoverage, setAt(coverageAt+"/objects", num(2))},
		{Scan, "part 3 of 2", BadCoverage, func(n *node) { addTo(coverageAt, "part", num(3))(n); addTo(coverageAt, "parts", num(2))(n) }},
		{Scan, "part of nothing", BadCoverage, addTo(coverageAt, "part", num(1))},
		{Scan, "fewer than no findings without a record", BadValue, addTo(coverageAt, "unrecorded", num(-1))},
		{Scan, "no findings without a record, written down", BadShape, addTo(coverageAt, "unrecorded", num(0))},
		{Finding, "findings without a record", BadShape, addTo(coverageAt, "unrecorded", num(1))},
		{Scan, "a scan of a file", BadShape, setAt("/subject/0/digest", node{kind: object, members: []member{{"sha256", str(sum("x"))}}})},
		{Scan, "another scan", BadShape, setAt(predicateAt+"/context/scan", str(sum("other scan")))},
		{Scan, "name of a scan that is none", BadValue, func(n *node) {
			*at(n, predicateAt+"/context/scan"), *at(n, "/subject/0/digest/scan") = str("x"), str("x")
		}},
		{Scan, "a rule", BadShape, func(n *node) { addTo(predicateAt+"/rules", "rule", *at(all[Finding].mustNode(), ruleAt))(n) }},
	}
}

// liesOfDeeds: actions, contests, decisions.
func liesOfDeeds(map[Kind]*Record) []lie {
	return []lie{
		{Deed, "no action", BadShape, leaveOut(predicateAt + "/action")},
		{Deed, "of no record", BadValue, setAt(predicateAt+"/action/record", str(""))},
		{Deed, "a deed of another's words", BadValue, setAt(predicateAt+"/action/deed", str("take it!"))},
		{Deed, "a result of no words", BadValue, setAt(predicateAt+"/action/result", str(""))},
		{Deed, "a detail with a line end", BadValue, setAt(predicateAt+"/action/detail/method", str("a\nb"))},
		{Deed, "a verdict", BadShape, addTo(predicateAt, "verdict", str("found"))},
		{Contest, "no contest", BadShape, leaveOut(predicateAt + "/contest")},
		{Contest, "no reason", BadShape, leaveOut(predicateAt + "/contest/reason")},
		{Contest, "an empty reason", BadShape, setAt(predicateAt+"/contest/reason", str(""))},
		{Contest, "of no record", BadValue, setAt(predicateAt+"/contest/record", str("x"))},
		{Decision, "of no contest", BadValue, setAt(predicateAt+"/decision/contest", str("x"))},
		{Decision, "an outcome that is none", BadValue, setAt(predicateAt+"/decision/outcome", str("dismissed"))},
		{Decision, "a decision called a contest", BadShape, setAt("/predicateType", str("https://showcause.dev/contest/v1"))},
	}
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

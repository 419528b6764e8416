package showcause

// Stage is how far a rule may go, as its publisher signed it. Rules of no signed release
// have none: "".
type Stage string

// The stages.
const (
	StageShadow Stage = "shadow" // recorded; no verdict, no alert, no action
	StageReport Stage = "report" // said; no action
	StageAct    Stage = "act"    // its findings may be acted on
)

// Weaker returns the stage that lets a rule do less.
func (s Stage) Weaker(t Stage) Stage {
	for _, w := range [...]Stage{StageShadow, StageReport} {
		if s == w || t == w {
			return w
		}
	}
	if s == "" {
		return t
	}
	return s
}

// Alarms tells whether the finding counts: no allow-list overrules it, and its rule is past
// the stage in which it is only tried.
func (f *Finding) Alarms() bool { return f.Allowed == "" && f.Stage != StageShadow }

// Acts tells whether something may be done because of the finding, besides saying it.
func (f *Finding) Acts() bool { return f.Alarms() && f.Stage != StageReport }

package rule

// String returns what layers the target stands for.
func (t Target) String() string {
	names := [Targets]string{
		"any", "PE", "OLE2", "HTML", "mail", "graphics", "ELF", "text", "unused", "Mach-O", "PDF", "Flash", "Java",
	}
	if t < Targets {
		return names[t]
	}
	return "unknown"
}

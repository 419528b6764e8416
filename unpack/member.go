package unpack

// Member is what a container says of one of its members, whether or not that can be read.
type Member struct {
	Name      string // the attacker's bytes
	Packed    int64  // bytes that it takes in the container; 0 where the container does not say
	Size      int64  // bytes of what is unpacked; 0 where the container does not say
	Encrypted bool
	Sum       uint32 // CRC-32 of what is unpacked; 0 where the container has none
	// Number is the member's place in the container as ClamAV counts: from 0 or from 1, or 0 of
	// all where it does not count.
	Number int
	// What says so stands in the layer at [At, At+Length); 0 and 0 where it is packed itself.
	At, Length int64
}

// OnMember has f told of each member of the layer before it is given as a child.
func (o *Out) OnMember(f func(Member)) { o.member = f }

// Member tells who listens of a member. Readings that contradict each other are told of each.
func (o *Out) Member(m Member) {
	if o.member != nil {
		o.member(m)
	}
}

// sized tells of a child that is a member by its name and by what it came to.
func (o *Out) sized(c Child, n int64) {
	if c.Member != "" {
		o.Member(Member{Name: c.Member, Packed: n, Size: n})
	}
}

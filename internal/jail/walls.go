package jail

// A Wall is one thing that keeps a reader in.
type Wall struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Walls lists them in the order in which they are put up: the namespaces and
// the uid by Start, from outside, the others by Lock, from inside.
func Walls() []Wall {
	if !supported {
		return nil
	}
	return []Wall{
		{"user_ns", "rights that the kernel could be talked into count only inside"},
		{"net_ns", "a network of its own without any device: a socket reaches nobody"},
		{"pid_ns", "no other process has a number here: none can be signalled or traced"},
		{"ipc_ns", "no System V or POSIX message queue or shared memory of others"},
		{"mount_ns", "what is mounted here is mounted nowhere else; needed for the empty root"},
		{"uts_ns", "the host's name is not in reach"},
		{"cgroup_ns", "the host's groups are not in reach"},
		{"uid", "uid and gid 65534 without further groups: owns no file, is in no group"},
		{"descriptors", "every descriptor but its own is closed"},
		{"rlimits", "no core file, few descriptors, bounded data and scratch, no locked memory"},
		{"dumpable", "no core file, no tracing, /proc entries belong to root"},
		{"root", "the root directory is an empty read-only one: there are no paths"},
		{"capabilities", "none to use, none to keep, none to pass on"},
		{"no_new_privs", "no program gives rights by being started; needed by the next two"},
		{"landlock", "no path may be opened, no port connected, nobody outside signalled, at the kernel's best ABI"},
		{"seccomp", "no system call but those of the table, on all threads, or the process is killed"},
	}
}

// Names of walls, as in Walls.
const (
	wallUserNS = iota
	wallNetNS
	wallPidNS
	wallIPCNS
	wallMountNS
	wallUTSNS
	wallCgroupNS
	wallUID
	wallDescriptors
	wallRlimits
	wallDumpable
	wallRoot
	wallCapabilities
	wallNoNewPrivs
	wallLandlock
	wallSeccomp
	wallCount
)

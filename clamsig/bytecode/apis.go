package bytecode

// What a program calls by number. A prototype is what is returned, then the
// parameters: i is an i32, p an address of bytes, E, S and X are addresses of
// structures. Where an i follows a p, it is the size of what stands there.
//
// Numbers, names and prototypes are those of ClamAV's bytecode API, as of ClamAV 1.4.6.
type api struct {
	name  string
	proto string
}

// Functions is how many of them there are.
const Functions = 107

// layouts are what the structures that APIs fill are made of.
var layouts = map[byte]string{
	'E': "32*7 8*464", // cli_environment
	'S': "32*9",       // cli_exe_section
	'X': "16 8*62",    // DISASM_RESULT
}

// Globals that the engine provides, by the numbers that pointers to them have.
const (
	MatchCounts  = 0x8000
	HookKind     = 0x8001
	ExeData      = 0x8003
	FileSize     = 0x8004
	MatchOffsets = 0x8005
	firstGlobal  = MatchCounts
	lastGlobal   = MatchOffsets
	// globalSegment is where the program's own globals stand.
	globalSegment = lastGlobal - firstGlobal + 2
)

// Prototype gives a function's number, from 1, and its prototype, by its name: what
// it returns and what it takes. i is an i32, p an address of bytes, E, S and X are
// addresses of cli_environment, cli_exe_section and DISASM_RESULT. The number of one
// that is not known is 0.
func Prototype(name string) (number int, proto string) {
	for i := range apis {
		if apis[i].name == name {
			return i + 1, apis[i].proto
		}
	}
	return 0, ""
}

var apis = [Functions]api{
	{"test1", "iii"},
	{"read", "ipi"},
	{"write", "ipi"},
	{"seek", "iii"},
	{"setvirusname", "ipi"},
	{"debug_print_str", "ipi"},
	{"debug_print_uint", "ii"},
	{"disasm_x86", "iXi"},
	{"trace_directory", "ipi"},
	{"trace_scope", "ipi"},
	{"trace_source", "ipi"},
	{"trace_op", "ipi"},
	{"trace_value", "ipi"},
	{"trace_ptr", "ipi"},
	{"pe_rawaddr", "ii"},
	{"file_find", "ipi"},
	{"file_byteat", "ii"},
	{"malloc", "pi"},
	{"test2", "ii"},
	{"get_pe_section", "iSi"},
	{"fill_buffer", "ipiiii"},
	{"extract_new", "ii"},
	{"read_number", "ii"},
	{"hashset_new", "i"},
	{"hashset_add", "iii"},
	{"hashset_remove", "iii"},
	{"hashset_contains", "iii"},
	{"hashset_done", "ii"},
	{"hashset_empty", "ii"},
	{"buffer_pipe_new", "ii"},
	{"buffer_pipe_new_fromfile", "ii"},
	{"buffer_pipe_read_avail", "ii"},
	{"buffer_pipe_read_get", "pii"},
	{"buffer_pipe_read_stopped", "iii"},
	{"buffer_pipe_write_avail", "ii"},
	{"buffer_pipe_write_get", "pii"},
	{"buffer_pipe_write_stopped", "iii"},
	{"buffer_pipe_done", "ii"},
	{"inflate_init", "iiii"},
	{"inflate_process", "ii"},
	{"inflate_done", "ii"},
	{"bytecode_rt_error", "ii"},
	{"jsnorm_init", "ii"},
	{"jsnorm_process", "ii"},
	{"jsnorm_done", "ii"},
	{"ilog2", "iii"},
	{"ipow", "iiii"},
	{"iexp", "iiii"},
	{"isin", "iiii"},
	{"icos", "iiii"},
	{"memstr", "ipipi"},
	{"hex2ui", "iii"},
	{"atoi", "ipi"},
	{"debug_print_str_start", "ipi"},
	{"debug_print_str_nonl", "ipi"},
	{"entropy_buffer", "ipi"},
	{"map_new", "iii"},
	{"map_addkey", "ipii"},
	{"map_setvalue", "ipii"},
	{"map_remove", "ipii"},
	{"map_find", "ipii"},
	{"map_getvaluesize", "ii"},
	{"map_getvalue", "pii"},
	{"map_done", "ii"},
	{"file_find_limit", "ipii"},
	{"engine_functionality_level", "i"},
	{"engine_dconf_level", "i"},
	{"engine_scan_options", "i"},
	{"engine_db_options", "i"},
	{"extract_set_container", "ii"},
	{"input_switch", "ii"},
	{"get_environment", "iEi"},
	{"disable_bytecode_if", "ipii"},
	{"disable_jit_if", "ipii"},
	{"version_compare", "ipipi"},
	{"check_platform", "iiii"},
	{"pdf_get_obj_num", "i"},
	{"pdf_get_flags", "i"},
	{"pdf_set_flags", "ii"},
	{"pdf_lookupobj", "ii"},
	{"pdf_getobjsize", "ii"},
	{"pdf_getobj", "pii"},
	{"pdf_getobjid", "ii"},
	{"pdf_getobjflags", "ii"},
	{"pdf_setobjflags", "iii"},
	{"pdf_get_offset", "ii"},
	{"pdf_get_phase", "i"},
	{"pdf_get_dumpedobjid", "i"},
	{"matchicon", "ipipi"},
	{"running_on_jit", "i"},
	{"get_file_reliability", "i"},
	{"json_is_active", "i"},
	{"json_get_object", "ipii"},
	{"json_get_type", "ii"},
	{"json_get_array_length", "ii"},
	{"json_get_array_idx", "iii"},
	{"json_get_string_length", "ii"},
	{"json_get_string", "ipii"},
	{"json_get_boolean", "ii"},
	{"json_get_int", "ii"},
	{"engine_scan_options_ex", "ipi"},
	{"lzma_init", "iii"},
	{"lzma_process", "ii"},
	{"lzma_done", "ii"},
	{"bzip2_init", "iii"},
	{"bzip2_process", "ii"},
	{"bzip2_done", "ii"},
}

# Reads lines "options source data", hexadecimal, and writes for each the start
# and end of the first match that PCRE2 finds, "none", or "error".
import ctypes, sys

lib = ctypes.CDLL("libpcre2-8.so.0")
lib.pcre2_compile_8.restype = ctypes.c_void_p
lib.pcre2_compile_8.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
lib.pcre2_match_data_create_from_pattern_8.restype = ctypes.c_void_p
lib.pcre2_match_data_create_from_pattern_8.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
lib.pcre2_match_8.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p]
lib.pcre2_get_ovector_pointer_8.restype = ctypes.POINTER(ctypes.c_size_t)
lib.pcre2_get_ovector_pointer_8.argtypes = [ctypes.c_void_p]
lib.pcre2_code_free_8.argtypes = [ctypes.c_void_p]
lib.pcre2_match_data_free_8.argtypes = [ctypes.c_void_p]

for line in sys.stdin:
    options, src, data = line.rstrip("\n").split(" ")
    src, data = bytes.fromhex(src), bytes.fromhex(data)
    code, off = ctypes.c_int(), ctypes.c_size_t()
    re = lib.pcre2_compile_8(src, len(src), int(options, 16), ctypes.byref(code), ctypes.byref(off), None)
    if not re:
        print("error")
        continue
    md = lib.pcre2_match_data_create_from_pattern_8(re, None)
    rc = lib.pcre2_match_8(re, data, len(data), 0, 0, md, None)
    if rc == -1:
        print("none")
    elif rc < 0:
        print("limit")
    else:
        v = lib.pcre2_get_ovector_pointer_8(md)
        print(v[0], v[1])
    lib.pcre2_match_data_free_8(md)
    lib.pcre2_code_free_8(re)

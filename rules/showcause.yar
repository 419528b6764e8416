// The rules that ship with Showcause. Each says what it finds. All are written for
// this project. In findings the names have points in place of "_":
// Showcause.Test.EICAR. A character of each string is written as \xHH, so that this
// file is not found itself.

rule Showcause_Test_EICAR {
	meta:
		description = "The EICAR test file: 68 fixed bytes at the start, at most 128 in all (eicar.org). It is harmless."
	strings:
		$a = "X\x35O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
	condition:
		filesize >= 68 and filesize <= 128 and $a at 0
}

rule Showcause_Webshell_PHP_EvalInput {
	meta:
		description = "PHP that runs what a request brings: eval, assert or a shell function straight on a request variable."
	strings:
		$a = "<?"
		$b = "e\x76al($_POST[" nocase
		$c = "e\x76al($_GET[" nocase
		$d = "e\x76al($_REQUEST[" nocase
		$e = "a\x73sert($_POST[" nocase
		$f = "a\x73sert($_REQUEST[" nocase
		$g = "s\x79stem($_GET[" nocase
		$h = "p\x61ssthru($_REQUEST[" nocase
		$i = "s\x68ell_exec($_POST[" nocase
	condition:
		$a and ($b or $c or $d or $e or $f or $g or $h or $i)
}

rule Showcause_Webshell_PHP_EvalPacked {
	meta:
		description = "PHP that unpacks and runs what a request brings, or code that is packed twice."
	strings:
		$a = "<?"
		$b = "e\x76al(base64_decode($_POST[" nocase
		$c = "e\x76al(base64_decode($_REQUEST[" nocase
		$d = "e\x76al(gzinflate(base64_decode(" nocase
		$e = "e\x76al(gzuncompress(base64_decode(" nocase
	condition:
		$a and ($b or $c or $d or $e)
}

rule Showcause_Webshell_JSP_ExecInput {
	meta:
		description = "JSP that runs a request parameter as a command."
	strings:
		$a = "<%"
		$b = "R\x75ntime.getRuntime().exec(request.getParameter("
	condition:
		$a and $b
}

rule Showcause_Webshell_ASP_EvalInput {
	meta:
		description = "ASP that evaluates a request item (the one-line shell known as China Chopper)."
	strings:
		$a = "<%"
		$b = "e\x76al(Request.Item[\"" nocase
		$c = "e\x76al request(\"" nocase
	condition:
		$a and ($b or $c)
}

rule Showcause_ReverseShell_Bash {
	meta:
		description = "A shell wired to a TCP connection by bash redirection."
	strings:
		$a = "b\x61sh -i >& /dev/tcp/"
		$b = "b\x61sh -i &>/dev/tcp/"
		$c = "0\x3e&1"
	condition:
		($a or $b) and $c
}

rule Showcause_ReverseShell_Python {
	meta:
		description = "Python that connects out, puts the socket on standard input and starts a shell."
	strings:
		$a = "s\x6fcket.SOCK_STREAM"
		$b = ".\x63onnect(("
		$c = "o\x73.dup2("
		$d = "s\x75bprocess.call([\"/bin/sh\""
		$e = "s\x75bprocess.call([\"/bin/bash\""
		$f = "p\x74y.spawn(\"/bin/"
	condition:
		$a and $b and $c and ($d or $e or $f)
}

rule Showcause_ReverseShell_Perl {
	meta:
		description = "Perl that connects out and starts a shell on the socket."
	strings:
		$a = "u\x73e Socket;"
		$b = "o\x70en(STDIN,\">&"
		$c = "e\x78ec(\"/bin/sh -i\")"
	condition:
		$a and $b and $c
}

rule Showcause_Downloader_PowerShell {
	meta:
		description = "PowerShell that fetches a script and runs it without a file, in a hidden window. (Installers do the first two in the open.)"
	strings:
		$a = "N\x65t.WebClient).DownloadString(" nocase wide ascii
		$b = "I\x45X" nocase wide ascii
		$c = "I\x6evoke-Expression" nocase wide ascii
		$d = "-\x77 hidden" nocase wide ascii
		$e = "-\x57indowStyle Hidden" nocase wide ascii
	condition:
		$a and ($b or $c) and ($d or $e)
}

rule Showcause_Dropper_IoT_Shell {
	meta:
		description = "The script with which bots of the Mirai kind install themselves: tries writable folders, fetches, makes executable, runs."
	strings:
		$a = "c\x64 /tmp || cd /var/run || cd /mnt"
		$b = "w\x67et http://"
		$c = "c\x75rl -O http://"
		$d = "c\x68mod 777 "
	condition:
		$a and ($b or $c) and $d
}

rule Showcause_HackTool_Mimikatz {
	meta:
		description = "The credential dumper mimikatz: names of its modules and of its author, in a program."
	strings:
		$a = "s\x65kurlsa" wide
		$b = "l\x6fgonpasswords" wide
		$c = "g\x65ntilkiwi" wide
	condition:
		uint16(0) == 0x5a4d and uint32(uint32(0x3c)) == 0x4550 and $a and $b and $c
}

rule Showcause_Backdoor_Meterpreter {
	meta:
		description = "The server part of Metasploit's meterpreter."
	strings:
		$a = "m\x65tsrv.dll"
		$b = "R\x65flectiveLoader"
	condition:
		uint16(0) == 0x5a4d and uint32(uint32(0x3c)) == 0x4550 and $a and $b
}

rule Showcause_Backdoor_CobaltStrike {
	meta:
		description = "The beacon of Cobalt Strike, with its loader."
	strings:
		$a = "b\x65acon.dll"
		$b = "b\x65acon.x64.dll"
		$c = "R\x65flectiveLoader"
	condition:
		uint16(0) == 0x5a4d and uint32(uint32(0x3c)) == 0x4550 and ($a or $b) and $c
}

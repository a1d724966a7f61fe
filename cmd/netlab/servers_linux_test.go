package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// These tests record real clients as they talk to real servers, and replay that: to the
// same server, which must be the same, and to one with planted changes, of which exactly
// those must be told.

// recorded captures what is said to some servers, by whatever do has do that, into
// talk.pcap. They have to run already.
func recorded(t *testing.T, do func()) {
	t.Helper()
	_, errs, stop := background(t, "capture", "-i", "lo", "-w", "talk.pcap")
	errs.wait(t, "listening on lo")
	do()
	if code := stop(); code != exitDone || !strings.Contains(errs.String(), " 0 dropped by the kernel") {
		t.Fatalf("exit status %d: %s", code, errs)
	}
}

// ran runs a program to its end, and returns what it said.
func ran(t *testing.T, stdin, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// verdicts replays talk.pcap.
func verdicts(t *testing.T, to string, args ...string) (code int, others []string, same int64) {
	t.Helper()
	return verdictsOf(t, "talk.pcap", to, args...)
}

// verdictsOf replays a recording, and returns the exit status, what was not the same, one line
// each, and how many of the answers were. That a client said something to which no answer
// was due is left out. The account must be exact.
func verdictsOf(t *testing.T, file, to string, args ...string) (code int, others []string, same int64) {
	t.Helper()
	code, out, errs := netlab(t, append([]string{"replay", file, "--to", to, "--json", "--timeout", "60s"}, args...)...)
	var sums struct{ Answers, Connections map[string]int64 }
	answers, connections := make(map[string]int64), make(map[string]int64)
	for line := range strings.Lines(out) {
		var r struct {
			Type, Verdict, Reason, Request string
			Differences                    []struct{ Kind, Path, Recorded, Live string }
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		what := r.Verdict + " " + r.Request
		switch r.Type {
		case "outcome":
			answers[r.Verdict]++
		case "connection":
			connections[r.Verdict]++
			what = "connection " + r.Verdict
			if r.Reason == "" {
				continue // its answers say why
			}
		case "replay":
			if err := json.Unmarshal([]byte(line), &sums); err != nil {
				t.Fatal(err)
			}
			continue
		default:
			continue
		}
		if r.Reason != "" {
			what += ": " + r.Reason
		}
		for _, d := range r.Differences {
			what += fmt.Sprintf("; %s %s was %s, is %s", d.Kind, d.Path, d.Recorded, d.Live)
		}
		if r.Verdict != "same" && r.Reason != "no answer is awaited" {
			others = append(others, what)
		}
	}
	for i, counts := range []map[string]int64{answers, connections} {
		sum := []map[string]int64{sums.Answers, sums.Connections}[i]
		all := int64(0)
		for verdict, n := range counts {
			if all += n; sum[verdict] != n {
				t.Errorf("%d %s were told, %d counted", n, verdict, sum[verdict])
			}
		}
		if sum["recorded"] != all {
			t.Errorf("%d were told, %d recorded", all, sum["recorded"])
		}
	}
	if t.Failed() {
		t.Log(errs)
	}
	slices.Sort(others)
	return code, others, answers["same"]
}

// sameAndChanged replays talk.pcap to the server that it was recorded with and to one with
// planted changes. What differs then has to fit.
func sameAndChanged(t *testing.T, recordedWith, changed string, same int64, changes ...string) {
	t.Helper()
	for _, speed := range []string{"1", "max"} {
		code, others, n := verdicts(t, recordedWith, "--speed", speed)
		if code != exitDone || n != same || len(others) > 0 {
			t.Errorf("to the same server at speed %s: exit status %d, %d same, want %d\n%s", speed, code, n, same, strings.Join(others, "\n"))
		}
		code, others, _ = verdicts(t, changed, "--speed", speed)
		if code != exitDiffers || !fit(others, changes) {
			t.Errorf("to a changed server at speed %s: exit status %d, and\n%s\nwant\n%s", speed, code, strings.Join(others, "\n"), strings.Join(changes, "\n"))
		}
	}
}

// sharedTheSame shares talk.pcap, and replays that to the server that it was recorded with: it
// answers as it does to what was recorded, but for some answers, which differ as sameAndChanged
// has it.
func sharedTheSame(t *testing.T, recordedWith string, same int64, args []string, changes ...string) {
	t.Helper()
	code, out, errs := netlab(t, append([]string{"share", "talk.pcap", "-o", "shared.zip"}, args...)...)
	if code != exitDone {
		t.Errorf("share: exit status %d\n%s%s", code, out, errs)
	}
	rightChecksums(t, "shared.zip")
	code, others, n := verdictsOf(t, "shared.zip", recordedWith, "--speed", "max")
	if (code == exitDone) != (len(changes) == 0) || n != same-int64(len(changes)) || !fit(others, changes) {
		t.Errorf("what was shared, to the same server: exit status %d, %d same of %d\n%s\nwant\n%s\n%s", code, n, same, strings.Join(others, "\n"), strings.Join(changes, "\n"), out)
	}
}

// fit reports whether lines are as expected: each has the beginning of one, and behind a | what
// stands in it somewhere.
func fit(lines, want []string) bool {
	slices.Sort(want)
	return slices.EqualFunc(lines, want, func(line, w string) bool {
		begin, within, _ := strings.Cut(w, "|")
		return strings.HasPrefix(line, begin) && strings.Contains(line, within)
	})
}

// inTempDir runs the test in a folder of its own, which servers may read that are another
// user.
func inTempDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = d[:strings.LastIndexByte(d, '/')] {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	return dir
}

// TestReplayNginx has curl talk to nginx.
func TestReplayNginx(t *testing.T) {
	programs(t, "curl", "nginx")
	if !capturing(t) {
		return
	}
	dir := inTempDir(t)
	put(t, "page.txt", []byte(strings.Repeat("a page of nginx\n", 10_000)))
	addr, changed := freeAddr(t), freeAddr(t)
	put(t, "nginx.conf", fmt.Appendf(nil, `daemon off; master_process off; pid nginx.pid; error_log stderr; events {}
http {
	access_log off; client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
	types { text/plain txt; application/json json; } gzip on; gzip_types text/plain; absolute_redirect off;
	server { listen %s; root %s;
		location /price { default_type application/json; return 200 '{"price":950,"of":["a","b"]}'; }
		location /made { return 201 "made $request_method\n"; }
		location /old { return 301 /new; }
		location /gone { return 404 gone; }
	}
	server { listen %s; root %[2]s;
		location /price { default_type application/json; return 200 '{"price":1050,"of":["a","b"]}'; }
		location /made { add_header X-Made here; return 201 "made $request_method\n"; }
		location /old { return 301 /newer; }
		location /gone { return 410 gone; }
	}
}
`, addr, dir, changed))
	started(t, addr, "nginx", "-p", dir, "-c", "nginx.conf", "-e", "stderr")
	base := "http://" + addr
	recorded(t, func() {
		curled(t, "", base+"/price", base+"/page.txt", base+"/gone", base+"/price?again", "-o", "a", "-o", "b", "-o", "c", "-o", "d")
		curled(t, "", "--compressed", base+"/page.txt")
		curled(t, "", "-I", base+"/page.txt")
		curled(t, "", "-r", "100-199", base+"/page.txt")
		curled(t, "", "-d", "a=b", base+"/made")
		curled(t, "", "-T", "page.txt", "-H", "Expect: 100-continue", base+"/made")
		curled(t, "", "-H", "Transfer-Encoding: chunked", "-d", "chunked", base+"/made")
		curled(t, "", "--http1.0", base+"/old")
	})
	sameAndChanged(t, addr, changed, 11,
		"different GET a.example/price;|body $.price was 950, is 1050",
		"different GET a.example/price?again;|body $.price was 950, is 1050",
		"different POST a.example/made, 3 bytes;|x-made",
		"different POST a.example/made, 7 bytes;|x-made",
		"different PUT a.example/made, 160000 bytes;|x-made",
		`different GET a.example/old;|was "/new", is "/newer"`,
		"different GET a.example/gone;|404 Not Found, is 410 Gone",
	)
	sharedTheSame(t, addr, 11, nil)
}

// TestReplayRedis has redis-cli talk to redis.
func TestReplayRedis(t *testing.T) {
	programs(t, "redis-server", "redis-cli")
	if !capturing(t) {
		return
	}
	dir := inTempDir(t)
	addr, changed := freeAddr(t), freeAddr(t)
	for a, more := range map[string][]string{addr: nil, changed: {"--rename-command", "INCR", ""}} {
		host, port, _ := net.SplitHostPort(a)
		started(t, a, "redis-server", append([]string{"--bind", host, "--port", port, "--save", "", "--dir", dir}, more...)...)
		motd := "hello"
		if a == changed {
			motd = "good evening"
		}
		ran(t, "", "redis-cli", "-p", port, "SET", "motd", motd)
	}
	_, port, _ := net.SplitHostPort(addr)
	recorded(t, func() {
		say := func(args ...string) { ran(t, "", "redis-cli", append([]string{"-p", port}, args...)...) }
		say("GET", "motd")
		say("SET", "k", "v")
		say("GET", "nothing")
		say("INCR", "n")
		say("RPUSH", "l", "a", "b", "c")
		say("LRANGE", "l", "0", "-1")
		say("HSET", "h", "a", "1")
		say("HGETALL", "h")
		say("GET", "l")
		redisTalk(t, addr, "MULTI\r\nSET k 2\r\nGET k\r\nEXEC\r\nSUBSCRIBE news\r\n", 13)
		say("DEL", "k", "l", "n", "h") // as it was
	})
	sameAndChanged(t, addr, changed, 15,
		`different GET motd;|is "good evening"`,
		"different DEL k l n h;|was 4, is 3",
		"different INCR n;|ERR unknown command",
	)
	sharedTheSame(t, addr, 15, nil)
}

// redisTalk sends several commands at once, and reads so many lines of the replies.
func redisTalk(t *testing.T, addr, say string, lines int) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, say); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for range lines {
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplayDNS has dig ask dnsmasq.
func TestReplayDNS(t *testing.T) {
	programs(t, "dnsmasq", "dig")
	if !capturing(t) {
		return
	}
	inTempDir(t)
	addr, changed := freeAddr(t), freeAddr(t)
	for a, address := range map[string]string{addr: "10.1.2.4", changed: "10.1.2.5"} {
		host, port, _ := net.SplitHostPort(a)
		there := func() bool {
			// Over UDP: a connection might end when the recording has begun.
			return exec.CommandContext(t.Context(), "dig", "@"+host, "-p", port, "+tries=1", "+time=1", "a.example").Run() == nil
		}
		startedUntil(t, nil, there, "dnsmasq", "-k", "-C", "/dev/null", "-p", port, "--listen-address", host, "--bind-interfaces", "--no-resolv", "--no-hosts", "--pid-file=", "-u", "root",
			"--host-record=a.example,10.1.2.3", "--host-record=b.example,"+address, "--txt-record=t.example,hello", "--cname=c.example,b.example", "--local=/example/")
	}
	_, port, _ := net.SplitHostPort(addr)
	recorded(t, func() {
		at := []string{"@127.0.0.1", "-p", port, "+tries=1", "+time=5"}
		ran(t, "", "dig", append(at, "a.example", "b.example", "t.example", "TXT", "nobody.example")...)
		ran(t, "", "dig", append(at, "+tcp", "c.example", "+keepopen", "a.example", "+keepopen")...)
	})
	sameAndChanged(t, addr, changed, 6,
		"different A b.example;|b.example A 10.1.2.5",
		"different A c.example;|b.example A 10.1.2.5",
	)
	sharedTheSame(t, addr, 6, []string{"--keep", "host", "--keep", "address", "--keep", "text"}) // which it is asked for
}

// webSocketServer answers messages, in a different way when there is a second argument.
const webSocketServer = `
import asyncio, sys, websockets

async def talk(ws, path=None):
    await ws.send("welcome")
    async for m in ws:
        if m == "three":
            for i in range(3):
                await ws.send("part %d" % i)
        elif m == "long":
            await ws.send("long " * 20000)
        elif m == "hello" and len(sys.argv) > 2:
            await ws.send("good evening")
        else:
            await ws.send(m.upper())

async def main():
    async with websockets.serve(talk, "127.0.0.1", int(sys.argv[1])):
        await asyncio.Future()

asyncio.run(main())
`

// webSocketClient says some messages.
const webSocketClient = `
import asyncio, sys, websockets

async def main():
    for compression in ["deflate", None]:
        async with websockets.connect("ws://127.0.0.1:%s/chat" % sys.argv[1], compression=compression) as ws:
            await ws.recv()
            for m in ["hello", b"\x00\x01 bytes", "three", "long", "hello", "bye"]:
                await ws.send(m)
                for i in range(3 if m == "three" else 1):
                    await ws.recv()
            await (await ws.ping())

asyncio.run(main())
`

// TestReplayWebSocket has a client of Python talk to a server of Python.
func TestReplayWebSocket(t *testing.T) {
	const python = "/usr/bin/python3" // of Debian, which has its packages
	programs(t, python)
	if exec.Command(python, "-c", "import websockets").Run() != nil {
		t.Skip("python3-websockets is not installed (apt-get install python3-websockets)")
	}
	if !capturing(t) {
		return
	}
	inTempDir(t)
	put(t, "server.py", []byte(webSocketServer))
	put(t, "client.py", []byte(webSocketClient))
	addr, changed := freeAddr(t), freeAddr(t)
	port := func(a string) string { _, p, _ := net.SplitHostPort(a); return p }
	started(t, addr, python, "server.py", port(addr))
	started(t, changed, python, "server.py", port(changed), "changed")
	recorded(t, func() { ran(t, "", python, "client.py", port(addr)) })
	const greets = `different (unasked) text, %s;|message was "HELLO" of 5 bytes, is "good evening" of 12 bytes`
	deflated, plain := fmt.Sprintf(greets, `7 bytes, in all 5 "HELLO"`), fmt.Sprintf(greets, `5 bytes "HELLO"`)
	sameAndChanged(t, addr, changed, 24, deflated, deflated, plain, plain)
	// What is blanked of a message it makes capital letters of.
	sharedTheSame(t, addr, 24, nil, "different (unasked) binary, 10 bytes", "different (unasked) binary, 8 bytes")
}

// TestReplayVsftpd has curl list, fetch and store files at vsftpd, whose data connections are
// opened by the client and by the server.
func TestReplayVsftpd(t *testing.T) {
	programs(t, "vsftpd", "curl")
	if !capturing(t) {
		return
	}
	dir := inTempDir(t)
	addr, changed := freeAddr(t), freeAddr(t)
	old := time.Unix(1e9, 0)
	for a, page := range map[string]string{addr: "a page\n", changed: "a sage\n"} {
		host, port, _ := net.SplitHostPort(a)
		root := dir + "/" + port
		for _, d := range []string{root, root + "/pub", root + "/up"} {
			if err := os.Mkdir(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for name, data := range map[string]string{"page.txt": page, "big.bin": strings.Repeat("0123456789abcdef", 20_000)} {
			put(t, root+"/pub/"+name, []byte(data))
			if err := os.Chmod(root+"/pub/"+name, 0o644); err != nil { // it gives what everybody may read
				t.Fatal(err)
			}
			if err := os.Chtimes(root+"/pub/"+name, old, old); err != nil {
				t.Fatal(err)
			}
		}
		put(t, port+".conf", fmt.Appendf(nil, `listen=YES
listen_address=%s
listen_port=%s
background=NO
anonymous_enable=YES
no_anon_password=YES
anon_root=%s
anon_upload_enable=YES
anon_other_write_enable=YES
write_enable=YES
run_as_launching_user=YES
seccomp_sandbox=NO
xferlog_enable=NO
`, host, port, root))
		started(t, a, "vsftpd", dir+"/"+port+".conf")
	}
	put(t, "new.txt", []byte("what is stored\n"))
	base := "ftp://" + addr
	recorded(t, func() {
		for _, modes := range [][2][]string{
			{{}, {"--disable-epsv"}},
			{{"-P", "-"}, {"-P", "-", "--disable-eprt"}},
		} {
			curled(t, "", append(modes[0], base+"/pub/")...)
			curled(t, "", append(modes[1], base+"/pub/page.txt")...)
			curled(t, "", append(modes[0], base+"/pub/big.bin", "-o", "big.bin")...)
			curled(t, "", append(modes[1], "-T", "new.txt", base+"/up/new.txt", "-Q", "-DELE new.txt")...)
		}
	})
	// Where it is in the file system is not hidden from anonymous, for root runs it.
	changes := slices.Repeat([]string{"different PWD;|current directory"}, 8)
	changes = append(changes, slices.Repeat([]string{`different (the server speaks first);|"page\n" of 7 bytes, is "sage\n" of 7 bytes`}, 2)...)
	sameAndChanged(t, addr, changed, 78, changes...)
	sharedTheSame(t, addr, 78, nil)
}

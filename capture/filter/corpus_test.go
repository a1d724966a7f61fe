package filter

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand"
	"strings"
	"testing"

	"netlab/capture"
	"netlab/pcaps"
	"netlab/pcaps/samples"
)

// payload is what a packet of the corpus carries, and the EtherType that says so.
type payload struct {
	typ  uint16
	data []byte
}

// corpus makes packets of a link type: plain ones of every kind that expressions
// ask for, changed and cut ones, and those of the samples.
func corpus(t testing.TB, link capture.LinkType) []capture.Packet {
	r := rand.New(rand.NewSource(int64(link)))
	var list []capture.Packet
	add := func(data []byte, length int) {
		list = append(list, capture.Packet{Number: int64(len(list) + 1), Data: data, Length: length, Link: link})
	}
	for round := range 12 {
		for _, p := range payloads(r) {
			data := frame(r, link, p)
			if data == nil {
				continue
			}
			length := len(data)
			if round > 5 && r.Intn(2) == 0 { // some bits are others
				for range 1 + r.Intn(3) {
					data[r.Intn(min(len(data), 80))] ^= 1 << r.Intn(8)
				}
			}
			if round > 3 && r.Intn(4) == 0 { // the snapshot length cuts
				data = data[:r.Intn(len(data))]
			}
			add(data, length)
		}
	}
	for range 50 {
		data := make([]byte, r.Intn(120))
		r.Read(data)
		add(data, len(data)+r.Intn(2)*r.Intn(2000))
	}
	for _, s := range samples.List() {
		f, err := samples.Open(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		src, err := pcaps.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		for {
			p, err := src.Next()
			if err != nil {
				break
			}
			if p.Link == link && len(p.Data) > 0 {
				add(append([]byte(nil), p.Data...), p.Length)
			}
		}
		src.Close()
	}
	return list
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.Intn(len(list))] }

// put writes big-endian numbers of 16 bits.
func put(list ...int) []byte {
	var b []byte
	for _, n := range list {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return b
}

func bytesOf(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

var (
	hosts4 = []string{"0a000001", "0a000002", "0a000003", "0a00002a", "0a800001", "c0a80105", "ac100102", "7f000001", "ffffffff", "e0000001", "00000000", "00000005", "0b000001", "0a010000"}
	hosts6 = []string{"20010db8000000000000000000000001", "20010db8000000000000000000000002", "20010db8000100020000000000000001", "20010db8800000000000000000000001",
		"00000000000000000000000000000001", "00000000000000000000000000000000", "fe800000000000000000000000000001", "ff020000000000000000000000000001", "00000000000000000000ffff0a000001"}
	ports = []int{80, 443, 53, 22, 8080, 8000, 8999, 5353, 123, 21, 20, 25, 514, 161, 3306, 1024, 40000, 65535, 0, 7, 85, 90, 1000, 12, 30, 179}
)

// transportOf is a transport's bytes, and its number.
func transportOf(r *rand.Rand, v6 bool) (int, []byte) {
	body := pick(r, []byte("GET / HTTP/1.1\r\n"), bytesOf("01020304"), nil, make([]byte, 40), bytesOf("1234 0100 0001 0000 0000 0000 01 61 00 0001 0001"))
	src, dst := pick(r, ports...), pick(r, ports...)
	switch r.Intn(14) {
	case 0, 1, 2, 3, 4:
		options := pick(r, 5, 5, 5, 6, 8, 15)
		b := append(put(src, dst, r.Intn(65536), r.Intn(65536), 0, 0), byte(options<<4|r.Intn(2)*r.Intn(16)), pick[byte](r, 2, 18, 16, 24, 17, 4, 20, 0x20, 0xc2, 0))
		b = append(b, put(pick(r, 64240, 500, 0), 0, 0)...)
		return 6, append(append(b, make([]byte, 4*(options-5))...), body...)
	case 5, 6, 7:
		return 17, append(put(src, dst, 8+len(body), pick(r, 0, 4, 25)), body...)
	case 8:
		return 132, append(put(src, dst, 0, 1, 0, 0, 0x0100+r.Intn(512), 20), body...)
	case 9:
		if v6 {
			return 58, append([]byte{pick[byte](r, 128, 129, 135, 136, 1), byte(r.Intn(2)), 0, 0, 0, 1, 0, 1}, body...)
		}
		return 1, append([]byte{pick[byte](r, 8, 0, 3, 11), byte(r.Intn(2)), 0, 0, 0, 1, 0, 1}, body...)
	case 10:
		return 2, append([]byte{pick[byte](r, 0x11, 0x16), 0, 0, 0}, body...)
	case 11:
		return pick(r, 103, 112), append([]byte{pick[byte](r, 0x20, 0x21), 0, 0, 0}, body...)
	}
	return pick(r, 0, 9, 47, 50, 51, 58, 1, 89, 255, 44), append(put(r.Intn(65536)), body...)
}

func ip4(r *rand.Rand) payload {
	proto, body := transportOf(r, false)
	words := pick(r, 5, 5, 5, 5, 6, 15)
	fragment := pick(r, 0, 0, 0, 0x4000, 0x2000, 0x2010, 0x0010)
	b := append([]byte{byte(0x40 | words), byte(pick(r, 0, 0, 0xb8))}, put(4*words+len(body), r.Intn(65536), fragment)...)
	b = append(b, pick[byte](r, 64, 1, 128, 255, 33), byte(proto), 0, 0)
	b = append(append(b, bytesOf(pick(r, hosts4...))...), bytesOf(pick(r, hosts4...))...)
	return payload{etherIP, append(append(b, make([]byte, 4*(words-5))...), body...)}
}

func ip6(r *rand.Rand) payload {
	proto, body := transportOf(r, true)
	if r.Intn(5) == 0 {
		body = append([]byte{byte(proto), 0, 0, byte(r.Intn(2)), 0, 0, 0, 1}, body...)
		proto = 44
	}
	b := append([]byte{0x60, 0, 0, 0}, put(len(body))...)
	b = append(b, byte(proto), pick[byte](r, 64, 255, 1))
	b = append(append(b, bytesOf(pick(r, hosts6...))...), bytesOf(pick(r, hosts6...))...)
	return payload{etherIP6, append(b, body...)}
}

func arp(r *rand.Rand) payload {
	b := append(put(1, 0x800, 0x0604, 1+r.Intn(4)), bytesOf("020000000001"+pick(r, hosts4...)+"020000000002"+pick(r, hosts4...))...)
	return payload{pick[uint16](r, etherARP, etherARP, etherRARP), append(b, make([]byte, 18*r.Intn(2))...)}
}

// other is what expressions ask for beside IP. A length below 0x600 stands for LLC.
func other(r *rand.Rand) payload {
	llc := pick(r, "4242030000", "e0e0030000", "f0f0030000", "fefe038300", "ffff002200", "aaaa030000008137 0102", "aaaa030800 07809b 01", "aaaa03000000 80f3 01", "6464030000", "aaaa030000000800 45")
	return pick(r,
		payload{uint16(len(llc) / 2), bytesOf(llc)}, payload{uint16(len(llc) / 2), bytesOf(llc)}, payload{uint16(len(llc) / 2), bytesOf(llc)},
		payload{pick[uint16](r, 0x809b, 0x80f3, 0x6003, 0x6007, 0x6004, 0x6002, 0x6001, 0x9000, 0x8137, 0x88cc, 1500, 1501), make([]byte, 46)},
	)
}

// inner is what tags and labels carry.
func inner(r *rand.Rand) payload {
	return pick(r, ip4, ip4, ip6, arp, other)(r)
}

func vlan(r *rand.Rand, in payload) payload {
	return payload{pick[uint16](r, 0x8100, 0x8100, 0x88a8, 0x9100), append(put(r.Intn(8)<<13|pick(r, 10, 20, 0, 4095, 300), int(in.typ)), in.data...)}
}

func labels(r *rand.Rand) payload {
	in := pick(r, ip4, ip6)(r)
	var b []byte
	n := 1 + r.Intn(3)
	for i := range n {
		label := uint32(pick(r, 100, 200, 3))<<12 | uint32(r.Intn(8))<<9 | 64
		if i == n-1 {
			label |= 0x100
		}
		b = binary.BigEndian.AppendUint32(b, label)
	}
	return payload{etherMPLS, append(b, in.data...)}
}

func pppoe(r *rand.Rand) payload {
	in := inner(r)
	if r.Intn(6) == 0 {
		in = labels(r)
	}
	typ := int(in.typ)
	if p, ok := pppTypes[uint32(in.typ)]; ok {
		typ = int(p)
	}
	if r.Intn(8) == 0 {
		typ = 0x31
	}
	b := append(put(0x1100, pick(r, 7, 8), len(in.data)+2, typ), in.data...)
	return payload{pick[uint16](r, etherPPPoES, etherPPPoES, etherPPPoES, etherPPPoED), b}
}

// payloads are some of each kind.
func payloads(r *rand.Rand) []payload {
	var list []payload
	for range 200 {
		list = append(list, ip4(r))
	}
	for range 100 {
		list = append(list, ip6(r))
	}
	for range 20 {
		list = append(list, arp(r), other(r), vlan(r, inner(r)), vlan(r, vlan(r, inner(r))), labels(r), vlan(r, labels(r)), pppoe(r), vlan(r, pppoe(r)))
	}
	return list
}

// frame puts a payload behind the header of a link type, or returns nil where it
// can't stand there.
func frame(r *rand.Rand, link capture.LinkType, p payload) []byte {
	ip := p.typ == etherIP || p.typ == etherIP6
	v6 := p.typ == etherIP6
	switch link {
	case capture.LinkEthernet:
		macs := []string{"020000000001", "020000000002", "ffffffffffff", "01005e000001", "020000000003"}
		b := append(bytesOf(pick(r, macs...)), bytesOf(pick(r, macs...))...)
		return append(append(b, put(int(p.typ))...), p.data...)
	case capture.LinkLinuxSLL:
		typ := int(p.typ)
		if typ < maxLength {
			typ = pick(r, 4, 4, 4, 1)
		}
		return append(put(r.Intn(5), 1, 6, 0x200, 0, 1, 0, typ), p.data...)
	case capture.LinkLinuxSLL2:
		return append(append(put(int(p.typ), 0, 0, pick(r, 3, 4), 1), byte(r.Intn(5)), 6, 2, 0, 0, 0, 0, 1, 0, 0), p.data...)
	case capture.LinkNull:
		return append(put(pick(r, map[bool]int{true: 0x0a00, false: 0x0200}[v6], map[bool]int{true: 0x0a00, false: 0x0200}[v6], 0x0700), 0), p.data...)
	case capture.LinkLoop:
		return append(put(0, pick(r, map[bool]int{true: 10, false: 2}[v6], map[bool]int{true: 10, false: 2}[v6], 7)), p.data...)
	case capture.LinkPPP, capture.LinkPPPHDLC:
		typ := int(p.typ)
		if n, ok := pppTypes[uint32(p.typ)]; ok {
			typ = int(n)
		}
		return append(put(0xff03, typ), p.data...)
	}
	if !ip && r.Intn(4) > 0 {
		return nil
	}
	return p.data
}

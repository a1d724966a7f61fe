package proto

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"
)

// decodeAll decodes blocks in a row, up to the first that is malformed.
func (t *HPACKTable) decodeAll(blocks [][]byte) (fields []Field, problem string) {
	for _, b := range blocks {
		if problem = t.decode(b, func(f HPACKField) {
			if f.Form != HPACKResize {
				fields = append(fields, f.Field)
			}
		}); problem != "" {
			break
		}
	}
	return fields, problem
}

// resizesTwice tells whether a block begins with two new sizes, as it may: the smallest
// of several and the last of them (RFC 7541, section 4.2).
func resizesTwice(block []byte) bool {
	resizes := func() bool { return len(block) > 0 && block[0]&0xe0 == 0x20 }
	if !resizes() {
		return false
	}
	_, block, _ = hpackInt(block, 5)
	return resizes()
}

// FuzzHPACK holds the decoder to the one of golang.org/x/net. The blocks are cut at
// the bytes 0xff 0xff 0xff, which no sane block has.
func FuzzHPACK(f *testing.F) {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	for i := range 3 {
		e.WriteField(hpack.HeaderField{Name: ":method", Value: "GET"})
		e.WriteField(hpack.HeaderField{Name: "x-a", Value: strings.Repeat("b", 100*i)})
		e.WriteField(hpack.HeaderField{Name: "authorization", Value: "c", Sensitive: true})
		e.SetMaxDynamicTableSize(uint32(100 * i))
		buf.WriteString("\xff\xff\xff")
	}
	f.Add(buf.Bytes())
	f.Add([]byte("\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"))
	f.Add([]byte("\x3f\xe1\x1f\x20\x82\xbe\x40\x01a\x00\xbe"))
	f.Fuzz(func(t *testing.T, data []byte) {
		blocks := bytes.Split(data, []byte("\xff\xff\xff"))
		if slices.ContainsFunc(blocks, resizesTwice) {
			return // theirs takes only one
		}
		table := NewHPACKTable()
		got, problem := table.decodeAll(blocks)
		var want []Field
		d := hpack.NewDecoder(defaultHPACKTable, func(f hpack.HeaderField) { want = append(want, Field{f.Name, f.Value}) })
		var err error
		for _, b := range blocks {
			if _, err = d.Write(b); err == nil {
				err = d.Close()
			}
			if err != nil {
				break
			}
		}
		if (err != nil) != (problem != "") {
			t.Fatalf("problem %q, and theirs is %v", problem, err)
		}
		if err == nil {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("fields (-theirs +ours):\n%s", diff)
			}
		}
		size := 0
		for _, e := range table.entries {
			size += fieldSize(e)
		}
		if size != table.size || size > maxHPACKTable {
			t.Errorf("the table is said to have %d bytes, and has %d", table.size, size)
		}

		// Decoded from the second block on, whatever is known is right.
		if err != nil || len(blocks) < 2 {
			return
		}
		whole := NewHPACKTable()
		whole.decodeAll(blocks[:1])
		late := NewHPACKTable()
		late.forget()
		all, _ := whole.decodeAll(blocks[1:])
		some, problem := late.decodeAll(blocks[1:])
		if problem != "" || len(all) != len(some) {
			t.Fatalf("late: %q, %d fields, want %d", problem, len(some), len(all))
		}
		for i, f := range some {
			if f.Name != UnknownName && f.Name != all[i].Name || f.Value != unknownValue && f.Value != all[i].Value {
				t.Errorf("late: field %d is %v, want %v", i, f, all[i])
			}
		}
	})
}

// TestHPACKStatic holds the table to the one of golang.org/x/net.
func TestHPACKStatic(t *testing.T) {
	for i, want := range hpackStatic {
		var got Field
		d := hpack.NewDecoder(0, func(f hpack.HeaderField) { got = Field{f.Name, f.Value} })
		if _, err := d.Write([]byte{0x80 | byte(i+1)}); err != nil || got != want {
			t.Errorf("entry %d is %v, want %v (%v)", i+1, got, want, err)
		}
	}
}

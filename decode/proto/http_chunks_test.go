package proto

import (
	"slices"
	"testing"
)

// TestHTTPChunks wants to know where chunks stand, and those that are malformed refused.
func TestHTTPChunks(t *testing.T) {
	const head = "head"
	for name, c := range map[string]struct {
		body string
		want []HTTPChunk // nil when it is refused
	}{
		"two": {"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", []HTTPChunk{
			{Begin: 4, Size: 4, SizeEnd: 5, Extension: 6, ExtensionEnd: 6, Data: 7, DataEnd: 10, End: 12},
			{Begin: 12, Size: 12, SizeEnd: 13, Extension: 14, ExtensionEnd: 18, Data: 19, DataEnd: 29, End: 31},
			{Begin: 31, Size: 31, SizeEnd: 32, Extension: 33, ExtensionEnd: 33, Data: 34, DataEnd: 34, End: 34},
		}},
		"spaces_and_bare_line_feeds": {" 1 \na\n0\n\n", []HTTPChunk{
			{Begin: 4, Size: 5, SizeEnd: 6, Extension: 7, ExtensionEnd: 7, Data: 8, DataEnd: 9, End: 10},
			{Begin: 10, Size: 10, SizeEnd: 11, Extension: 11, ExtensionEnd: 11, Data: 12, DataEnd: 12, End: 12},
		}},
		"no_data":         {"0\r\n\r\n", []HTTPChunk{{Begin: 4, Size: 4, SizeEnd: 5, Extension: 6, ExtensionEnd: 6, Data: 7, DataEnd: 7, End: 7}}},
		"empty":           {"", nil},
		"no_size":         {"\r\nabc", nil},
		"signed":          {"+3\r\nabc\r\n0\r\n\r\n", nil},
		"short":           {"5\r\nabc\r\n", nil},
		"longer_than_all": {"fffffffffffffff\r\nabc\r\n", nil},
		"more_than_said":  {"2\r\nabc\r\n0\r\n\r\n", nil},
		"one_more":        {"2\r\nabc\n0\r\n\r\n", nil},
		"no_last":         {"3\r\nabc\r\n", nil},
	} {
		got, ok := HTTPChunks([]byte(head+c.body), len(head))
		if !slices.Equal(got, c.want) || ok != (c.want != nil) {
			t.Errorf("%s: %v, %v, want %v", name, got, ok, c.want)
		}
	}
}

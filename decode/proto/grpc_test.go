package proto

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
)

// echoDescriptors is a FileDescriptorSet, by protoc, of
//
//	syntax = "proto3";
//	package t.v1;
//	message Inner { sint32 z = 1; enum Mode { OFF = 0; ON = 1; } Mode mode = 2; }
//	message Ask { string name = 1; repeated int32 numbers = 2; Inner inner = 3; double x = 4; bytes blob = 5;
//	  bool yes = 6; map<string, int32> tags = 7; fixed32 f = 8; repeated Inner more = 9; }
//	message Answer { int64 n = 1; }
//	service Echo { rpc Say(Ask) returns (Answer); }
const echoDescriptors = "0ace030a0a6563686f2e70726f746f1204742e763122540a05496e6e6572120c0a017a18012001281152017a12240a046d6f6465180220" +
	"01280e32102e742e76312e496e6e65722e4d6f646552046d6f646522170a044d6f646512070a034f4646100012060a024f4e1001229b02" +
	"0a0341736b12120a046e616d6518012001280952046e616d6512180a076e756d6265727318022003280552076e756d6265727312210a05" +
	"696e6e657218032001280b320b2e742e76312e496e6e65725205696e6e6572120c0a017818042001280152017812120a04626c6f621805" +
	"2001280c5204626c6f6212100a03796573180620012808520379657312270a047461677318072003280b32132e742e76312e41736b2e54" +
	"616773456e747279520474616773120c0a0166180820012807520166121f0a046d6f726518092003280b320b2e742e76312e496e6e6572" +
	"52046d6f72651a370a0954616773456e74727912100a036b657918012001280952036b657912140a0576616c7565180220012805520576" +
	"616c75653a02380122160a06416e73776572120c0a016e18012001280352016e32260a044563686f121e0a0353617912092e742e76312e" +
	"41736b1a0c2e742e76312e416e73776572620670726f746f33"

// ask is an Ask, by protoc.
const ask = "0a03616461120c0102fdffffffffffffffff011a040809100121000000000000f83f2a02ff0030013a050a0161100145070000004a020802"

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSchema names fields.
func TestSchema(t *testing.T) {
	s, err := ReadSchema(unhex(t, echoDescriptors))
	if err != nil {
		t.Fatal(err)
	}
	data := unhex(t, ask)
	for name, tt := range map[string]struct {
		grpc GRPC
		want string
	}{
		"request": {
			GRPC{Service: "t.v1.Echo", Method: "Say", Messages: []GRPCMessage{{Bytes: int64(len(data)), Data: data}}},
			`{"name":"ada","numbers":[1,2,-3],"inner":{"z":-5,"mode":"ON"},"x":1.5,"blob":{"bytes":2},"yes":true,"tags":[{"key":"a","value":1}],"f":7,"more":[{"z":1}]}`,
		},
		"response":       {GRPC{Service: "t.v1.Echo", Method: "Say", response: true, Messages: []GRPCMessage{{Bytes: 2, Data: []byte("\x08\x05")}}}, `{"n":5}`},
		"unknown_field":  {GRPC{Service: "t.v1.Echo", Method: "Say", response: true, Messages: []GRPCMessage{{Bytes: 2, Data: []byte("\x10\x05")}}}, `{"2":5}`},
		"unknown_method": {GRPC{Service: "t.v1.Echo", Method: "No", Messages: []GRPCMessage{{Bytes: 2, Data: []byte("\x08\x05")}}}, `{"1":5}`},
		"another_type":   {GRPC{Service: "t.v1.Echo", Method: "Say", Messages: []GRPCMessage{{Bytes: 2, Data: []byte("\x08\x05")}}}, `{"name":5}`},
		"cut":            {GRPC{Service: "t.v1.Echo", Method: "Say", Messages: []GRPCMessage{{Bytes: 20, Data: []byte("\x0a\x05ad")}}}, `{"name":"ad"}`},
	} {
		t.Run(name, func(t *testing.T) {
			h := (&HTTPMessage{GRPC: &tt.grpc}).Described(s)
			if got := string(h.AppendJSON(nil)); !strings.Contains(got, `"fields":`+tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if tt.grpc.Schema != nil {
				t.Error("the message was changed")
			}
		})
	}
	for name, data := range map[string]string{"empty": "", "text": "hello", "other": "\x12\x01a", "cut": string(unhex(t, echoDescriptors)[:100])} {
		if _, err := ReadSchema([]byte(data)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzProtobuf shows whatever is there as JSON, in its bounds.
func FuzzProtobuf(f *testing.F) {
	s, err := ReadSchema(unhex(f, echoDescriptors))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(unhex(f, ask), true)
	f.Add([]byte("\x0b\x0b\x0b\x10\x01\x0c\x0c\x0c\x1a\x80\x80\x01a"), false)
	f.Add([]byte("2\x03000\x12\x00\x100"), true) // an empty packed list
	f.Add(unhex(f, echoDescriptors), false)
	f.Fuzz(func(t *testing.T, data []byte, named bool) {
		for _, cut := range []bool{false, true} {
			typ := s.types["t.v1.Ask"]
			if !named {
				typ = nil
			}
			out, ok := appendProtobuf(nil, data, typ, cut)
			if ok && !json.Valid(out) {
				t.Errorf("not JSON: %s", out)
			}
			if len(out) > maxProtobufFields*8*maxProtobufText {
				t.Errorf("%d bytes of %d", len(out), len(data))
			}
		}
		ReadSchema(data)
	})
}

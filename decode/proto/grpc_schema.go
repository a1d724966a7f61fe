package proto

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Schema has the names of methods, messages and fields, from a FileDescriptorSet
// (google/protobuf/descriptor.proto), as `protoc --descriptor_set_out` writes it. It
// is read with protowire alone: names are all that is wanted, files that import what
// is not there do no harm, and generated code would be larger than the rest of the
// program that reads gRPC.
type Schema struct {
	methods map[string][2]string // "pkg.Service/Method": types of request and response
	types   map[string]*protobufType
	enums   map[string]map[int32]string
}

// protobufType is a message type.
type protobufType struct {
	fields map[protowire.Number]*protobufField
}

// protobufField is a field of one.
type protobufField struct {
	name     string
	kind     protobufKind
	repeated bool
	typeName string
	message  *protobufType
	enum     map[int32]string
}

// protobufKind is FieldDescriptorProto.Type.
type protobufKind uint64

const (
	kindDouble   protobufKind = 1
	kindFloat    protobufKind = 2
	kindInt64    protobufKind = 3
	kindInt32    protobufKind = 5
	kindFixed64  protobufKind = 6
	kindFixed32  protobufKind = 7
	kindBool     protobufKind = 8
	kindString   protobufKind = 9
	kindGroup    protobufKind = 10
	kindMessage  protobufKind = 11
	kindBytes    protobufKind = 12
	kindEnum     protobufKind = 14
	kindSfixed32 protobufKind = 15
	kindSfixed64 protobufKind = 16
	kindSint32   protobufKind = 17
	kindSint64   protobufKind = 18
)

// labelRepeated is FieldDescriptorProto.LABEL_REPEATED.
const labelRepeated = 3

func (t *protobufType) field(n protowire.Number) *protobufField {
	if t == nil {
		return nil
	}
	return t.fields[n]
}

// packs reports whether a list of it may be packed.
func (f *protobufField) packs() bool {
	return f.kind != kindString && f.kind != kindBytes && f.kind != kindMessage && f.kind != kindGroup
}

// wire is how one of a packed list stands on the wire.
func (f *protobufField) wire() protowire.Type {
	switch f.kind {
	case kindDouble, kindFixed64, kindSfixed64:
		return protowire.Fixed64Type
	case kindFloat, kindFixed32, kindSfixed32:
		return protowire.Fixed32Type
	}
	return protowire.VarintType
}

// maxNesting bounds message types inside of message types.
const maxNesting = 32

// ReadSchema reads a FileDescriptorSet.
func ReadSchema(data []byte) (*Schema, error) {
	s := &Schema{methods: make(map[string][2]string), types: make(map[string]*protobufType), enums: make(map[string]map[int32]string)}
	ok := eachField(data, func(n protowire.Number, _ uint64, b []byte) bool {
		return n != 1 || s.file(b)
	})
	if !ok || len(s.types)+len(s.methods) == 0 {
		return nil, fmt.Errorf("no set of protobuf descriptors, as protoc --descriptor_set_out writes it")
	}
	for _, t := range s.types {
		for _, f := range t.fields {
			f.message, f.enum = s.types[f.typeName], s.enums[f.typeName]
		}
	}
	return s, nil
}

// eachField calls f for each field of a message until it is false, and reports
// whether it never was and all is well-formed.
func eachField(data []byte, f func(n protowire.Number, v uint64, b []byte) bool) bool {
	for len(data) > 0 {
		v, n := consumeProtobuf(data, false)
		if n < 0 || !f(v.number, v.n, v.data) {
			return false
		}
		data = data[n:]
	}
	return true
}

// file reads a FileDescriptorProto. The package may stand behind what is in it.
func (s *Schema) file(data []byte) bool {
	prefix := ""
	eachField(data, func(n protowire.Number, _ uint64, b []byte) bool {
		if n == 2 && len(b) > 0 {
			prefix = string(b) + "."
		}
		return true
	})
	return eachField(data, func(n protowire.Number, _ uint64, b []byte) bool {
		switch n {
		case 4:
			return s.message(prefix, b, 0)
		case 5:
			return s.enumeration(prefix, b)
		case 6:
			return s.service(prefix, b)
		}
		return true
	})
}

// nameOf returns the field 1 of a descriptor.
func nameOf(data []byte) (name string) {
	eachField(data, func(n protowire.Number, _ uint64, b []byte) bool {
		if n == 1 {
			name = string(b)
		}
		return true
	})
	return name
}

// message reads a DescriptorProto.
func (s *Schema) message(prefix string, data []byte, depth int) bool {
	if depth > maxNesting {
		return false
	}
	name := prefix + nameOf(data)
	t := &protobufType{fields: make(map[protowire.Number]*protobufField)}
	s.types[name] = t
	return eachField(data, func(n protowire.Number, _ uint64, b []byte) bool {
		switch n {
		case 2:
			f := &protobufField{}
			var number uint64
			ok := eachField(b, func(n protowire.Number, v uint64, b []byte) bool {
				switch n {
				case 1:
					f.name = string(b)
				case 3:
					number = v
				case 4:
					f.repeated = v == labelRepeated
				case 5:
					f.kind = protobufKind(v)
				case 6:
					f.typeName = strings.TrimPrefix(string(b), ".")
				}
				return true
			})
			if ok && number <= uint64(protowire.MaxValidNumber) {
				t.fields[protowire.Number(number)] = f
			}
			return ok
		case 3:
			return s.message(name+".", b, depth+1)
		case 4:
			return s.enumeration(name+".", b)
		}
		return true
	})
}

// enumeration reads an EnumDescriptorProto.
func (s *Schema) enumeration(prefix string, data []byte) bool {
	values := make(map[int32]string)
	s.enums[prefix+nameOf(data)] = values
	return eachField(data, func(n protowire.Number, _ uint64, b []byte) bool {
		if n != 2 {
			return true
		}
		var number int32
		ok := eachField(b, func(n protowire.Number, v uint64, _ []byte) bool {
			if n == 2 {
				number = int32(v)
			}
			return true
		})
		if _, there := values[number]; !there { // else it is an alias
			values[number] = nameOf(b)
		}
		return ok
	})
}

// service reads a ServiceDescriptorProto.
func (s *Schema) service(prefix string, data []byte) bool {
	name := prefix + nameOf(data)
	return eachField(data, func(n protowire.Number, _ uint64, b []byte) bool {
		if n != 2 {
			return true
		}
		var types [2]string
		ok := eachField(b, func(n protowire.Number, _ uint64, b []byte) bool {
			if n == 2 || n == 3 {
				types[n-2] = strings.TrimPrefix(string(b), ".")
			}
			return true
		})
		s.methods[name+"/"+nameOf(b)] = types
		return ok
	})
}

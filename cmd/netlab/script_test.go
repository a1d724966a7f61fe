package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	"netlab/capture/live"
	"netlab/capture/process"
)

// netlabProcess is set in the environment of a test binary that is to be netlab.
const netlabProcess = "NETLAB_TEST_BE_NETLAB"

// TestMain makes netlab a command of the scripts, and runs what a capture test
// starts again in a network namespace.
func TestMain(m *testing.M) {
	process.Child()
	if os.Getenv(netlabProcess) != "" {
		ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt)
		os.Exit(run(ctx, append([]string{"netlab"}, os.Args[1:]...), os.Stdin, os.Stdout, os.Stderr))
	}
	if os.Getenv(inNamespace) != "" {
		if err := loopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	testscript.Main(m, map[string]func(){"netlab": func() {
		signal.Ignore(syscall.SIGPIPE)
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		os.Exit(run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr))
	}})
}

// TestScripts runs testdata/script/*.txtar. Beside testscript's own commands there
// are:
//
//	freeport NAME      puts a free port of loopback in $NAME
//	waitport ADDR      waits until something listens there, TCP
//	waitudp ADDR       waits until something answers there, UDP
//	status N CMD…      runs a command and wants this exit status
//	descriptor FILE    writes what protoc would of grpc.health.v1.Health
//
// and the condition [capture]: loopback may be captured here. $SAMPLES is the
// folder of the sample captures, and $SCHEMA the file of decode --schema.
func TestScripts(t *testing.T) {
	if os.Getenv(inNamespace) != "" {
		t.Skip("only the capture tests run in the namespace")
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport": freePort, "waitport": waitPort, "waitudp": waitUDP, "status": wantStatus, "descriptor": descriptor,
		},
		Setup: func(e *testscript.Env) error {
			dir, err := filepath.Abs("../../pcaps/samples")
			e.Setenv("SAMPLES", dir)
			e.Setenv("SCHEMA", filepath.Join(dir, "../../decode/printer/schema.json"))
			return err
		},
		Condition: func(cond string) (bool, error) {
			if cond != "capture" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return live.Available && canCapture("lo") == nil, nil
		},
	})
}

// patience is how long a test waits for what has to come. On a machine that is busy all takes
// long, and nothing here is to depend on that.
const patience = 2 * time.Minute

// lastPort is the last that unusedAddr took.
var lastPort atomic.Int32

// unusedAddr is one on loopback that nobody has, nor gets without asking for that very port: systems
// give out those from 32768 on, to clients too, and one of these may be somebody else's when
// it is used.
func unusedAddr() (string, error) {
	lastPort.CompareAndSwap(0, 10000+rand.Int32N(10000))
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", lastPort.Add(1))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		u, err := net.ListenPacket("udp", addr)
		l.Close()
		if err == nil {
			u.Close()
			return addr, nil
		}
	}
	return "", errors.New("no port of loopback is free")
}

func freePort(ts *testscript.TestScript, _ bool, args []string) {
	addr, err := unusedAddr()
	ts.Check(err)
	_, port, err := net.SplitHostPort(addr)
	ts.Check(err)
	ts.Setenv(args[0], port)
}

func waitPort(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(patience); ; {
		c, err := net.Dial("tcp", args[0])
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nothing listens on %s: %v", args[0], err)
		}
		time.Sleep(10 * time.Millisecond) // between two looks at the condition
	}
}

// waitUDP sends one datagram to what listens there, as soon as something does, and
// waits for its answer. A port that is not open yet refuses at once, so nothing is sent
// twice to one that is.
func waitUDP(ts *testscript.TestScript, _ bool, args []string) {
	buf := make([]byte, 16)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		c, err := net.Dial("udp", args[0])
		ts.Check(err)
		c.SetDeadline(deadline)
		c.Write([]byte("?"))
		_, err = c.Read(buf)
		c.Close()
		if err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond) // between two looks at the condition
	}
	ts.Fatalf("nothing answers on %s", args[0])
}

// descriptor writes a file of descriptors, of the service that the sample grpc asks.
func descriptor(ts *testscript.TestScript, _ bool, args []string) {
	field := func(name string, kind descriptorpb.FieldDescriptorProto_Type, enum string) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: proto.Int32(1), Type: kind.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}
		if enum != "" {
			f.TypeName = &enum
		}
		return f
	}
	value := func(name string, number int32) *descriptorpb.EnumValueDescriptorProto {
		return &descriptorpb.EnumValueDescriptorProto{Name: &name, Number: &number}
	}
	const response = ".grpc.health.v1.HealthCheckResponse"
	data, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: proto.String("health.proto"), Package: proto.String("grpc.health.v1"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("HealthCheckRequest"), Field: []*descriptorpb.FieldDescriptorProto{field("service", descriptorpb.FieldDescriptorProto_TYPE_STRING, "")}},
			{
				Name:     proto.String("HealthCheckResponse"),
				Field:    []*descriptorpb.FieldDescriptorProto{field("status", descriptorpb.FieldDescriptorProto_TYPE_ENUM, response+".ServingStatus")},
				EnumType: []*descriptorpb.EnumDescriptorProto{{Name: proto.String("ServingStatus"), Value: []*descriptorpb.EnumValueDescriptorProto{value("UNKNOWN", 0), value("SERVING", 1)}}},
			},
		},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String("Health"),
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name: proto.String("Check"), InputType: proto.String(".grpc.health.v1.HealthCheckRequest"), OutputType: proto.String(response),
			}},
		}},
	}}})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o600))
}

func wantStatus(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

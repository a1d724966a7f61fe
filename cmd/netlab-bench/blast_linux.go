package main

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	blastBatch   = 64 // datagrams in a system call
	blastPayload = 64 // bytes, which begin with a number
	blastFlows   = 16
	blastPort    = 9999
	blastMost    = 5 * time.Minute
)

// mmsghdr is what sendmmsg takes (socket.h).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// blastCommand is the load of a capture: it sends numbered datagrams over loopback, at a
// rate or as fast as it can, and prints how many. Nobody reads them.
func blastCommand(_ context.Context, std stdio, args []string) error {
	fs := flag.NewFlagSet("blast", flag.ContinueOnError)
	if err := std.parse(fs, args, "RATE TIME", "Is run by capture."); err != nil {
		return err
	}
	if fs.NArg() != 2 {
		return usageError("it takes RATE TIME")
	}
	rate, err := strconv.Atoi(fs.Arg(0))
	if err != nil {
		return usageError(err.Error())
	}
	length, err := time.ParseDuration(fs.Arg(1))
	if err != nil || length > blastMost {
		return usageError("it takes a time up to 5m")
	}
	sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: blastPort})
	if err != nil {
		return err
	}
	defer sink.Close()
	if err := sink.SetReadBuffer(4096); err != nil { // what is full costs least
		return err
	}
	var flows []int
	for range blastFlows {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: blastPort, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			return os.NewSyscallError("connect", err)
		}
		flows = append(flows, fd)
	}
	sent, err := blast(flows, rate, length)
	fmt.Fprintf(std.out, "sent %d\n", sent)
	return err
}

// blast sends for so long; a rate of 0 is as fast as it can.
func blast(flows []int, rate int, length time.Duration) (sent int64, err error) {
	payload := make([]byte, blastBatch*blastPayload)
	vectors := make([]unix.Iovec, blastBatch)
	messages := make([]mmsghdr, blastBatch)
	for i := range messages {
		vectors[i] = unix.Iovec{Base: &payload[i*blastPayload], Len: blastPayload}
		messages[i].header.Iov, messages[i].header.Iovlen = &vectors[i], 1
	}
	begin := time.Now()
	for turn := 0; ; turn++ {
		now := time.Since(begin)
		if now >= length {
			return sent, nil
		}
		n := int64(blastBatch)
		if rate > 0 {
			n = min(n, int64(now.Seconds()*float64(rate))-sent)
			if n < 1 {
				pause := unix.NsecToTimespec(50_000)
				unix.Nanosleep(&pause, nil)
				continue
			}
		}
		for i := range n {
			binary.BigEndian.PutUint64(payload[i*blastPayload:], uint64(sent+i))
		}
		got, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(flows[turn%len(flows)]), uintptr(unsafe.Pointer(&messages[0])), uintptr(n), 0, 0, 0)
		if errno != 0 && errno != unix.ENOBUFS {
			return sent, os.NewSyscallError("sendmmsg", errno)
		}
		if errno == 0 {
			sent += int64(got)
		}
	}
}

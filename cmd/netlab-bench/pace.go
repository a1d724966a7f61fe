package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"netlab/capture"
	"netlab/pcaps"
	"netlab/pcaps/craft"
)

// What is paced: short messages at random times, on several connections.
const (
	paceClients = 50
	paceMessage = 16 // bytes; the first eight number it
	pacePort    = 7777
)

// arrivals are when messages are due, at random and independently of each other.
func arrivals(rate float64, length time.Duration, seed uint64) []time.Duration {
	rnd := rand.New(rand.NewPCG(seed, seed))
	var list []time.Duration
	for at := 10 * time.Millisecond; at < length; at += time.Duration(rnd.ExpFloat64() / rate * float64(time.Second)) {
		list = append(list, at)
	}
	return list
}

// makePace writes a recording of these messages to a server that says nothing.
func makePace(file string, network string, times []time.Duration) error {
	b := craft.New(craft.Options{Step: time.Nanosecond})
	server := netip.AddrPortFrom(netip.MustParseAddr("10.1.0.2"), pacePort)
	var talks []*craft.Talk
	now := time.Duration(0)
	for i := range paceClients {
		client := netip.AddrPortFrom(netip.MustParseAddr("10.1.0.1"), uint16(40000+i))
		if network == "udp" {
			talks = append(talks, b.UDP(client, server))
			continue
		}
		t := b.TCP(client, server)
		t.Open()
		now += 3
		talks = append(talks, t)
	}
	for i, at := range times {
		b.Wait(at - now)
		now = at + 1
		message := binary.BigEndian.AppendUint64(nil, uint64(i))
		talks[i%len(talks)].Send(craft.Client, append(message, make([]byte, paceMessage-len(message))...))
	}
	if network == "tcp" {
		for _, t := range talks {
			t.Close(craft.Client)
		}
	}
	packets, err := b.Packets()
	if err != nil {
		return err
	}
	f, err := pcaps.Create(file, pcaps.Options{Link: capture.LinkEthernet})
	if err != nil {
		return err
	}
	for i := range packets {
		if err := f.WritePacket(&packets[i]); err != nil {
			break // Close says it too
		}
	}
	return f.Close()
}

// seenTimes returns when each message passed in a capture of Ethernet and IPv4.
func seenTimes(file string, count int) ([]time.Time, error) {
	f, err := pcaps.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	times := make([]time.Time, count)
	missing := count
	for {
		p, err := f.Next()
		if err != nil { // also the end
			break
		}
		for data := payload(p.Data); len(data) >= paceMessage; data = data[paceMessage:] {
			if i := binary.BigEndian.Uint64(data); i < uint64(count) && times[i].IsZero() {
				times[i] = p.Time
				missing--
			}
		}
	}
	if missing > 0 {
		return nil, fmt.Errorf("%d of %d messages are not in %s", missing, count, file)
	}
	return times, nil
}

// payload returns what a TCP or UDP packet carries.
func payload(p []byte) []byte {
	const ether = 14
	if len(p) < ether+40 && len(p) < ether+28 {
		return nil
	}
	ip := p[ether:]
	header, total := int(ip[0]&15)*4, int(binary.BigEndian.Uint16(ip[2:]))
	switch {
	case ip[0]>>4 != 4 || total > len(ip):
		return nil
	case ip[9] == 17 && total >= header+8:
		return ip[header+8 : total]
	case ip[9] == 6 && total >= header+20:
		if off := header + int(ip[header+12]>>4)*4; off <= total {
			return ip[off:total]
		}
	}
	return nil
}

// paceErrors returns how late each message was behind its time, measured from the one
// that was least late.
func paceErrors(due []time.Duration, seen []time.Time) []float64 {
	least := seen[0].Add(-due[0])
	for i := range seen {
		if at := seen[i].Add(-due[i]); at.Before(least) {
			least = at
		}
	}
	late := make([]float64, len(seen))
	for i := range seen {
		late[i] = seen[i].Add(-due[i]).Sub(least).Seconds()
	}
	return late
}

// paced is a message of a recording.
type paced struct {
	at   time.Duration // since the first packet
	data []byte
}

// paceTimes reads the messages of a recording that makePace wrote.
func paceTimes(file string) ([]paced, error) {
	f, err := pcaps.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []paced
	var start time.Time
	for {
		p, err := f.Next()
		if err == io.EOF {
			return list, nil
		} else if err != nil {
			return nil, err
		}
		if start.IsZero() {
			start = p.Time
		}
		if data := payload(p.Data); len(data) > 0 {
			list = append(list, paced{p.Time.Sub(start), append([]byte(nil), data...)})
		}
	}
}

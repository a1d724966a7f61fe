package live

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Parts counts for each ring. What the kernel counted is forgotten by asking, so it is
// summed up here.
func (s *rings) Parts() []Part {
	var list []Part
	for _, r := range s.list {
		stats, _ := r.count3() // what was counted before stays
		list = append(list, Part{r.name, r.link, r.snap, stats})
	}
	return list
}

func (s *rings) Stats() (Stats, error) {
	var sum Stats
	for _, r := range s.list {
		stats, err := r.count3()
		if err != nil {
			return sum, err
		}
		sum = sum.add(stats)
	}
	return sum, nil
}

// count3 asks the kernel, and the interface.
func (r *ring) count3() (Stats, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return r.stats, fmt.Errorf("live: ask for the counts of %s: %w", r.name, err)
	}
	r.stats.Received += int64(now.Packets) // with those that were dropped
	r.stats.Dropped += int64(now.Drops)
	r.stats.IfDropped = max(r.stats.IfDropped, lostBy(r.index)-r.lostBefore)
	return r.stats, nil
}

// lostBy returns how many packets an interface has lost on their way in, or all of them
// for index 0: what the hardware had no room for. It is 0 where that is not known.
func lostBy(index int) int64 {
	data, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return 0
	}
	messages, err := syscall.ParseNetlinkMessage(data)
	if err != nil {
		return 0
	}
	var sum int64
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
			continue
		}
		if i := int(binary.NativeEndian.Uint32(m.Data[4:])); index != 0 && i != index {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			continue
		}
		for _, a := range attributes {
			// struct rtnl_link_stats64, of which rx_fifo_errors and rx_missed_errors are
			// the numbers 14 and 15.
			if a.Attr.Type == unix.IFLA_STATS64 && len(a.Value) >= 16*8 {
				sum += int64(binary.NativeEndian.Uint64(a.Value[14*8:]) + binary.NativeEndian.Uint64(a.Value[15*8:]))
			}
		}
	}
	return sum
}

// machineMemory returns how many bytes of memory there are; 0 when that is not known.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(uint64(info.Totalram) * uint64(info.Unit))
}

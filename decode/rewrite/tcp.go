package rewrite

// TCP options (https://www.iana.org/assignments/tcp-parameters).
const (
	optEnd       = 0
	optNothing   = 1
	optMSS       = 2
	optScale     = 3
	optSACKOK    = 4
	optSACK      = 5
	optTime      = 8
	optMD5       = 19
	optAuth      = 29
	tcpHeaderLen = 20
)

// options replaces the sequence numbers in the options of a TCP header, which are those of
// the other direction, and blanks all that are not of every day, as the keys of Multipath
// TCP and the cookies of Fast Open.
func (r *Rewriter) options(j *job, other *end) {
	h := r.buf[j.last.Start:j.last.Head]
	for b := h[min(tcpHeaderLen, len(h)):]; len(b) > 0; {
		n := 1
		switch kind := b[0]; {
		case kind == optEnd:
			r.zero(b, becauseOption)
			return
		case kind == optNothing:
		case len(b) < 2 || b[1] < 2 || int(b[1]) > len(b): // perhaps cut off
			r.nothing(b, optNothing)
			return
		default:
			n = int(b[1])
			r.option(b[:n], other)
		}
		b = b[n:]
	}
}

// option looks at one option.
func (r *Rewriter) option(b []byte, other *end) {
	switch kind, n := b[0], len(b); {
	case kind == optTime && n == 10, kind == optMSS && n == 4, kind == optScale && n == 3, kind == optSACKOK && n == 2:
	case kind == optSACK && n > 2 && (n-2)%8 == 0 && other != nil:
		for e := b[2:]; len(e) > 0; e = e[4:] {
			other.renumber(e)
		}
	case kind == optMD5, kind == optAuth:
		r.zero(b[2:], becauseOption)
	default:
		r.nothing(b, optNothing)
	}
}

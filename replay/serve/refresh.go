package serve

import (
	"bytes"
	"net/http"
	"strings"
	"time"
)

// date is a place in an answer where a time stands.
type date struct {
	from, to int
	time     time.Time
}

// findDates finds the times in the head of a response of HTTP/1 that say when it was
// made or how long it is good for: Date, Expires, and what a cookie ages by (RFC 6265,
// section 4.1.2.1). Last-Modified is of what is told, not of the telling.
func findDates(raw []byte) []date {
	var list []date
	at := 0
	for line := range bytes.Lines(raw) {
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if ok {
			from := at + len(name) + 1
			switch strings.ToLower(string(name)) {
			case "date", "expires":
				list = addDate(list, raw, from, from+len(value))
			case "set-cookie":
				lower := strings.ToLower(string(value))
				if i := strings.Index(lower, "expires="); i >= 0 {
					from += i + len("expires=")
					end := strings.IndexAny(lower[i:], ";\r\n")
					if end < 0 {
						end = len(lower) - i
					}
					list = addDate(list, raw, from, from+end-len("expires="))
				}
			}
		}
		at += len(line)
	}
	return list
}

// cookieTime is how some servers still write when a cookie expires.
const cookieTime = "Mon, 02-Jan-2006 15:04:05 MST"

func addDate(list []date, raw []byte, from, to int) []date {
	text := string(raw[from:to])
	trimmed := strings.TrimSpace(text)
	from += strings.Index(text, trimmed)
	t, err := http.ParseTime(trimmed)
	if err != nil {
		if t, err = time.Parse(cookieTime, trimmed); err != nil {
			return list
		}
	}
	return append(list, date{from, from + len(trimmed), t})
}

// refresh appends an answer with its times moved by as much as has gone by since it was
// given.
func refresh(dst []byte, a *answer, now time.Time) []byte {
	done, by := 0, now.Sub(a.at)
	for _, d := range a.dates {
		dst = append(dst, a.bytes[done:d.from]...)
		moved := d.time
		if moved.Unix() > 0 { // 1970 means long ago, whenever that is
			moved = moved.Add(by)
		}
		dst = moved.UTC().AppendFormat(dst, http.TimeFormat)
		done = d.to
	}
	return append(dst, a.bytes[done:]...)
}

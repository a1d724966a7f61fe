package compare

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCookieDates has cookies that last until a date, said at some time.
func TestCookieDates(t *testing.T) {
	then := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	now := then.AddDate(0, 0, 20)
	for name, c := range map[string]struct {
		recorded, live string
		want           []string
	}{
		"an_hour_both":    {"Expires=" + date(then.Add(time.Hour)), "Expires=" + date(now.Add(time.Hour+2*time.Second)), nil},
		"an_hour_by_age":  {"Expires=" + date(then.Add(time.Hour)), "Max-Age=3600", nil},
		"deleted_both":    {"Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Max-Age=0", nil},
		"a_day_less":      {"Expires=" + date(then.AddDate(0, 0, 7)), "Expires=" + date(now.AddDate(0, 0, 6)), []string{"header set-cookie a lifetime was 168h0m0s, is 144h0m0s"}},
		"deleted_now":     {"Max-Age=86400", "Expires=Thu, 01 Jan 1970 00:00:00 GMT", []string{"header set-cookie a lifetime was 24h0m0s, is 0s"}},
		"for_ever_now":    {"", "Max-Age=86400", []string{"header set-cookie a lifetime is new: 24h0m0s"}},
		"no_date":         {"Expires=never", "", nil},
		"age_before_date": {"Max-Age=60; Expires=" + date(then.Add(time.Hour)), "Max-Age=60", nil},
	} {
		t.Run(name, func(t *testing.T) {
			old, live := ok("Set-Cookie: a=1; "+c.recorded, ""), ok("Set-Cookie: a=2; "+c.live, "")
			a, b := httpAnswer(t, old), httpAnswer(t, live)
			a.Time, b.Time = then, now
			if d := cmp.Diff(c.want, told(Rules{}.Messages(a, b))); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
		})
	}
}

func date(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") }

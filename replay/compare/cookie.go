package compare

import (
	"net/http"
	"strings"
	"time"

	"netlab/decode/proto"
)

// cookies compares what is said of each cookie that both answers set beside its value, which
// is new each time: who may have it, and for how long (RFC 6265, section 5.2). Of several
// with one name, the first is compared with the first.
func (c *comparer) cookies(a, b []proto.Field) {
	old, fresh := setCookies(a), setCookies(b)
	if old == nil || fresh == nil {
		return
	}
	there := make(map[string][]*http.Cookie, len(fresh))
	for _, k := range fresh {
		there[k.Name] = append(there[k.Name], k)
	}
	for _, k := range old {
		if list := there[k.Name]; len(list) > 0 {
			there[k.Name] = list[1:]
			c.cookie(k, list[0])
		}
	}
}

// maxCookies bounds the cookies of an answer that are compared.
const maxCookies = 1000

func setCookies(fields []proto.Field) []*http.Cookie {
	var list []*http.Cookie
	for i := range fields {
		if !strings.EqualFold(fields[i].Name, "Set-Cookie") || len(list) == maxCookies {
			continue
		}
		if k, err := http.ParseSetCookie(fields[i].Value); err == nil {
			list = append(list, k)
		}
	}
	return list
}

func (c *comparer) cookie(a, b *http.Cookie) {
	path := "header set-cookie " + a.Name + " "
	set := func(on bool) string {
		if on {
			return "set"
		}
		return ""
	}
	for _, x := range [...]struct{ name, was, is string }{
		{"HttpOnly", set(a.HttpOnly), set(b.HttpOnly)},
		{"Secure", set(a.Secure), set(b.Secure)},
		{"Partitioned", set(a.Partitioned), set(b.Partitioned)},
		{"SameSite", sameSite(a), sameSite(b)},
		{"Path", a.Path, b.Path},
		{"Domain", strings.ToLower(strings.TrimPrefix(a.Domain, ".")), strings.ToLower(strings.TrimPrefix(b.Domain, "."))},
	} {
		switch {
		case x.was == x.is:
		case x.is == "":
			c.add(Missing, path+x.name, plainSide(x.was), nothing)
		case x.was == "":
			c.add(Extra, path+x.name, nothing, plainSide(x.is))
		default:
			was, is := textSides(x.was, x.is)
			c.add(Header, path+x.name, was, is)
		}
	}
	c.lifetimes(path+"lifetime", a, b)
}

func sameSite(k *http.Cookie) string {
	return [...]string{0: "", http.SameSiteDefaultMode: "", http.SameSiteLaxMode: "Lax", http.SameSiteStrictMode: "Strict", http.SameSiteNoneMode: "None"}[k.SameSite]
}

// lifetimes compares for how long two cookies last from when they were set. Those that end
// with the browser have none.
func (c *comparer) lifetimes(path string, a, b *http.Cookie) {
	byDate := a.MaxAge == 0 && a.RawExpires != "" || b.MaxAge == 0 && b.RawExpires != ""
	if a.MaxAge == b.MaxAge && a.RawExpires == b.RawExpires || byDate && (c.said.IsZero() || c.saidNow.IsZero()) {
		return
	}
	was, lasts := lifetime(a, c.said)
	is, lastsNow := lifetime(b, c.saidNow)
	switch {
	case !lasts && !lastsNow:
	case !lastsNow:
		c.add(Missing, path, plainSide(was.String()), nothing)
	case !lasts:
		c.add(Extra, path, nothing, plainSide(is.String()))
	case was <= 0 && is <= 0: // it is deleted
	case (was - is).Abs() > clockError:
		c.add(Header, path, plainSide(was.String()), plainSide(is.String()))
	}
}

// lifetime returns how long a cookie lasts, to the minute where it says so by a date; zero
// or less deletes it.
func lifetime(k *http.Cookie, said time.Time) (time.Duration, bool) {
	switch {
	case k.MaxAge < 0:
		return 0, true
	case k.MaxAge > 0:
		return time.Duration(min(k.MaxAge, 1<<32)) * time.Second, true
	case k.Expires.IsZero():
		return 0, false
	}
	return max(0, k.Expires.Sub(said)).Round(time.Minute), true
}

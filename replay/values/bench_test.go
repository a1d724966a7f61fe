package values

import (
	"fmt"
	"net/netip"
	"testing"

	"netlab/decode"
	"netlab/pcaps/craft"
	"netlab/replay/plan"
)

// site is a recording of clients that log in and then work with what they made, ten
// exchanges each.
func site(clients int) *craft.Builder {
	b := craft.New(craft.Options{})
	for i := range clients {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 14), byte(i >> 6)}), uint16(1024+i%64))
		c := b.TCP(client, netip.MustParseAddrPort("10.2.0.1:80"))
		c.Open()
		sid := fmt.Sprintf("%016x%016x", uint64(i+1)*0x9e3779b97f4a7c15, uint64(i+1)*0xbf58476d1ce4e5b9)
		for n := range 10 {
			c.Send(craft.Client, []byte(message(fmt.Sprintf("GET /users/%d/orders?page=%d|User-Agent: curl/8.5.0|Accept: */*|X-Trace: t-%d|Cookie: theme=dark; sid=%s", i, n, i*10+n, sid))))
			body := fmt.Sprintf(`{"id":%d,"user":{"name":"Ada Lovelace","mail":"ada@a.example","active":true},"items":[{"sku":"AB-%d-XY","count":2,"price":9.50},{"sku":"CD-%d-ZZ","count":1,"price":19}],"next":"/users/%d/orders?page=%d","status":"pending"}`, i*10+n, i, n, i, n+1)
			c.Send(craft.Server, []byte(message("200|Content-Type: application/json|Date: Fri, 02 Jan 2026 03:04:05 GMT|Server: nginx|Set-Cookie: sid="+sid+"; Path=/|ETag: \""+sid[:16]+"\"||"+body)))
		}
		c.Close(craft.Client)
	}
	return b
}

// BenchmarkFind is what finding costs beside making a plan, for each exchange.
func BenchmarkFind(b *testing.B) {
	const clients = 500
	recording := site(clients)
	for _, find := range []bool{false, true} {
		b.Run(fmt.Sprintf("find=%v", find), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k := &plan.Collector{}
				var sink decode.Sink = k.Recorder()
				f := NewFinder(Options{})
				if find {
					sink = decode.Tee(sink, f)
				}
				if _, err := decode.Run(recording.Source(), sink, decode.Options{Keep: plan.Keep}); err != nil {
					b.Fatal(err)
				}
				k.Plan()
				if find {
					if values, uses := f.Found().Used(); values < clients || uses < 9*clients {
						b.Fatalf("%d values, %d uses", values, uses)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*clients*10), "ns/exchange")
		})
	}
}

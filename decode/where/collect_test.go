package where_test

import (
	"slices"
	"strings"
	"testing"

	"netlab/decode"
	"netlab/decode/flow"
	"netlab/decode/proto"
	"netlab/decode/where"
	"netlab/pcaps/craft"
)

// passive is a file that FTP transfers on a connection of its own, beside somebody else's talk.
const passive = `
tcp ftp 10.1.0.1:40021 > 10.1.0.2:21
tcp data 10.1.0.1:40022 > 10.1.0.2:2000
tcp web 10.1.0.3:40001 > 10.1.0.2:8080
ftp open
ftp < "220 ready\r\n"
web open
ftp > "PASV\r\n"
ftp < "227 Entering Passive Mode (10,1,0,2,7,208)\r\n"
data open
ftp > "RETR notes\r\n"
ftp < "150 Here it comes\r\n"
data < "notes"
web > "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
data < fin
ftp < "226 Done\r\n"
data close
web < "HTTP/1.1 204 No\r\n\r\n"
ftp close
web close
`

// TestCollector picks conversations whole, with what was opened for them.
func TestCollector(t *testing.T) {
	const ftp, web, data = 0, 1, 2
	for name, c := range map[string]struct {
		choice where.Choice
		filter string
		want   []int
	}{
		"all":               {want: []int{ftp, web, data}},
		"by_exchange":       {filter: "http", want: []int{web}},
		"by_id":             {choice: where.Choice{IDs: map[int]bool{web: true}}, want: []int{web}},
		"with_its_data":     {choice: where.Choice{IDs: map[int]bool{ftp: true}}, want: []int{ftp, data}},
		"of_data_its_owner": {choice: where.Choice{IDs: map[int]bool{data: true}}, want: []int{ftp, data}},
		"by_late_exchange":  {filter: "ftp.code == 226", want: []int{ftp, data}},
		"by_packet":         {choice: where.Choice{Packets: func(n int64) bool { return n == 1 }}, want: []int{ftp, data}},
		"all_has_to_hold":   {choice: where.Choice{IDs: map[int]bool{ftp: true}}, filter: "http"},
		"both_hold":         {choice: where.Choice{Packets: func(n int64) bool { return n > 20 }, IDs: map[int]bool{web: true}}, filter: "http", want: []int{web}},
		"nothing":           {choice: where.Choice{Packets: func(int64) bool { return false }}},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := craft.Recipe(strings.NewReader(passive))
			if err != nil {
				t.Fatal(err)
			}
			if c.filter != "" {
				if c.choice.Filter, err = where.Compile(c.filter); err != nil {
					t.Fatal(err)
				}
			}
			k, whole := where.NewCollector(c.choice), make(owners)
			if _, err := decode.Run(b.Source(), decode.Tee(k, whole), decode.Options{}); err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, p := range k.Picked() {
				if got = append(got, p.ID); whole[p.First] != p.ID {
					t.Errorf("packet %d is not the first of %d", p.First, p.ID)
				}
			}
			if slices.Sort(got); !slices.Equal(got, c.want) {
				t.Errorf("picked %v, want %v", got, c.want)
			}
			for number, id := range whole {
				if k.Has(number) != slices.Contains(c.want, id) {
					t.Errorf("packet %d of conversation %d: %v", number, id, k.Has(number))
				}
			}
		})
	}
}

// owners are the conversations of packets, by their numbers.
type owners map[int64]int

func (o owners) Exchange(*proto.Exchange) error { return nil }

func (o owners) Packet(c *flow.Conversation, number int64) error {
	o[number] = c.ID
	return nil
}

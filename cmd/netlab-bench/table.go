package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// table is what was measured on one workload.
type table struct {
	workload workload
	truth    Truth
	rounds   int
	machine  string
	rows     []row
}

// row is one command, and its runs by round.
type row struct {
	name string
	runs []result
}

// failure says what went wrong; after that there are no runs.
func (r row) failure() string {
	if len(r.runs) == 0 {
		return ""
	}
	return r.runs[len(r.runs)-1].failure
}

// each returns something of all runs.
func (r row) each(of func(result) float64) []float64 {
	var values []float64
	for _, res := range r.runs {
		values = append(values, of(res))
	}
	return values
}

// over returns something of the row's runs over that of another's, round by round.
func (r row) over(base row, of func(result) float64) []float64 {
	var ratios []float64
	for i := range min(len(r.runs), len(base.runs)) {
		ratios = append(ratios, of(r.runs[i])/of(base.runs[i]))
	}
	return ratios
}

func wall(r result) float64   { return r.wall.Seconds() }
func user(r result) float64   { return r.user.Seconds() }
func system(r result) float64 { return r.system.Seconds() }

func processor(r result) float64 { return user(r) + system(r) }

// memory prints the row's peak, as the most that it can be where that is all that
// is known.
func (r row) memory() string {
	peak := median(r.each(func(r result) float64 { return float64(r.peak) }))
	floor := median(r.each(func(r result) float64 { return float64(r.floor) }))
	switch {
	case peak == 0:
		return "?"
	case peak <= floor:
		return "≤ " + number(peak/(1<<20))
	}
	return number(peak / (1 << 20))
}

// base is the row that the others are held against: the first that ran.
func (t table) base() (row, bool) {
	for _, r := range t.rows {
		if len(r.runs) > 0 && r.failure() == "" {
			return r, true
		}
	}
	return row{}, false
}

// print prints the table as Markdown.
func (t table) print(w io.Writer) {
	fmt.Fprintf(w, "## %s.pcap\n\n", t.workload.name)
	fmt.Fprintf(w, "%s: %s MB, %s packets; %d rounds; %s\n\n", t.workload.what, number(float64(t.truth.FileBytes)/1e6), thousands(t.truth.Packets), t.rounds, t.machine)
	base, ran := t.base()
	against := base.name
	if !ran {
		against = "walk-c"
	}
	fmt.Fprintf(w, "| command | wall s (median) | min..max | user+sys s | peak MiB | MB/s | kpkt/s | × %s |\n|---|---|---|---|---|---|---|---|\n", against)
	for _, r := range t.rows {
		if why := r.failure(); why != "" {
			fmt.Fprintf(w, "| %s | failed: %s | | | | | | |\n", cell(r.name), cell(why))
			continue
		}
		walls := r.each(wall)
		middle := median(walls)
		fmt.Fprintf(w, "| %s | %s | %s..%s | %s+%s | %s | %s | %s | %s |\n", cell(r.name), number(middle), number(slices.Min(walls)), number(slices.Max(walls)),
			number(median(r.each(user))), number(median(r.each(system))), r.memory(),
			number(float64(t.truth.FileBytes)/1e6/middle), number(float64(t.truth.Packets)/1e3/middle), number(median(r.over(base, wall))))
	}
	fmt.Fprintln(w)
}

// printGrowth shows how time and memory grow from the tenths to the full files.
func printGrowth(w io.Writer, tables []table) {
	head := "## Growth\n\n| command | files | packets | wall | peak MiB |\n|---|---|---|---|---|\n"
	for i := range tables {
		if i == 0 || !tables[i].workload.tenth || tables[i].workload.name != tables[i-1].workload.name+"10" {
			continue
		}
		full, tenth := tables[i-1], tables[i]
		for _, f := range full.rows {
			n := slices.IndexFunc(tenth.rows, func(r row) bool { return r.name == f.name })
			if n < 0 || f.failure() != "" || tenth.rows[n].failure() != "" {
				continue
			}
			s := tenth.rows[n]
			fmt.Fprintf(w, "%s| %s | %s to %s | × %s | × %s | %s to %s |\n", head, cell(f.name), tenth.workload.name, full.workload.name,
				number(float64(full.truth.Packets)/float64(tenth.truth.Packets)), number(median(f.each(wall))/median(s.each(wall))),
				s.memory(), f.memory())
			head = ""
		}
	}
	if head == "" {
		fmt.Fprintln(w)
	}
}

// String is a run in one line.
func (r result) String() string {
	if r.failure != "" {
		return "failed: " + r.failure
	}
	return fmt.Sprintf("%s s, %s MiB", number(r.wall.Seconds()), row{runs: []result{r}}.memory())
}

// median returns the middle of some values, or the mean of the middle two.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return 0
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// number prints a value with three digits that count, more where it is large.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 0.1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// thousands prints a number in groups of three digits.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// cell makes a text fit a cell of a table.
func cell(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.ReplaceAll(s, "|", "\\|")
}

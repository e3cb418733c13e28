//go:build linux

package main

import (
	"cmp"
	"fmt"
	"math"
	"runtime"
	"strings"
)

// row is one line of the table.
type row struct {
	key    string // scenario.metric
	label  string
	higher bool // is better
}

var rows = []row{
	{"credit.rate", "updates/s, 8192 in flight, 1000 items, 1 producer", true},
	{"credit.cpu_per_m", "… CPU s per million updates", false},
	{"credit.cpu_load", "… CPU cores used", false},
	{"credit.peak_rss_mb", "… peak RSS, MB", false},
	{"credit8t.rate", "updates/s, 8192 in flight, 1000 items, 8 producers, GOMAXPROCS 2", true},
	{"credit8t.cpu_per_m", "… CPU s per million updates", false},
	{"flood1.rate", "updates/s, tight loop, 1 item, 1 producer", true},
	{"flood1000.rate", "updates/s, tight loop, 1000 items, 1 producer", true},
	{"flood1000.mbps", "… MB/s", true},
	{"flood1000.produced_rate", "… update() calls/s meanwhile", true},
	{"flood1000.backlog_ms", "… age of the updates received at the end, ms", false},
	{"flood1000.backlog_updates", "… updates queued inside by then (estimate)", false},
	{"flood1000.peak_rss_mb", "… peak RSS by then, MB", false},
	{"flood4t.rate", "updates/s, tight loop, 1000 items, 4 producers", true},
	{"latency-eth.p50_us", "update latency at 10k/s, segments as on Ethernet, p50 µs", false},
	{"latency-eth.p99_us", "… p99 µs", false},
	{"latency-eth.p999_us", "… p99.9 µs", false},
	{"latency.p50_us", "update latency at 10k/s, segments of 64 KiB as on loopback, p50 µs", false},
	{"latency.p99_us", "… p99 µs", false},
	{"latency.p999_us", "… p99.9 µs", false},
	{"latency.cpu_load", "… CPU cores used", false},
	{"requests.w1_rate", "requests/s, 1 open", true},
	{"requests.w1_p50_us", "… p50 µs", false},
	{"requests.w1_p99_us", "… p99 µs", false},
	{"requests.w64_rate", "requests/s, 64 open", true},
	{"requests.w64_p50_us", "… p50 µs", false},
	{"requests.w64_p99_us", "… p99 µs", false},
	{"requests.w1024_rate", "requests/s, 1024 open", true},
	{"requests.w1024_p50_us", "… p50 µs", false},
	{"requests.w1024_p99_us", "… p99 µs", false},
	{"requests.w1024_cpu_per_m", "… CPU s per million requests", false},
	{"storm.sub_s", "100k subscriptions, s to the last reply", false},
	{"storm.usb_s", "100k unsubscriptions, s to the last reply", false},
	{"storm.rss_per_item", "… RSS bytes per subscribed item", false},
	{"storm.rss_after_mb", "… RSS after all unsubscriptions, MB", false},
	{"storm.threads", "… threads at most", false},
	{"items1.cpu_per_m", "CPU s per million updates, 1 item subscribed", false},
	{"items1k.cpu_per_m", "… 1,000 items subscribed and updated", false},
	{"items100k.cpu_per_m", "… 100,000 subscribed, 1,000 updated", false},
	{"items1m.cpu_per_m", "… 1,000,000 subscribed, 1,000 updated", false},
	{"items1m-all.cpu_per_m", "… 1,000,000 subscribed and updated in turn", false},
	{"items1k.sub_us", "µs for each of 1,000 subscriptions", false},
	{"items100k.sub_us", "… of 100,000", false},
	{"items1m.sub_us", "… of 1,000,000", false},
	{"items1k.usb_us", "µs for each of 1,000 unsubscriptions", false},
	{"items100k.usb_us", "… of 100,000", false},
	{"items1m.usb_us", "… of 1,000,000", false},
	{"items1m.rss_per_item", "1,000,000 items: RSS bytes per item", false},
	{"items1m.peak_rss_mb", "… peak RSS, MB", false},
	{"items1m.rss_after_mb", "… RSS after all unsubscriptions, MB", false},
	{"items1m.heap_after_mb", "… live heap after all unsubscriptions, MB", false},
	{"items1m.gc_cycles", "… garbage collections", false},
	{"items1m.gc_pause_p50_us", "… their pauses, p50 µs", false},
	{"items1m.gc_pause_max_us", "… the longest, µs", false},
	{"large.mbps", "MB/s, updates with a field of 1 MiB, 32 in flight", true},
	{"large.cpu_per_gb", "… CPU s per GB", false},
	{"large.peak_rss_mb", "… peak RSS, MB", false},
	{"wide.rate", "updates/s with 200 fields", true},
	{"wide.cpu_per_m", "… CPU s per million updates", false},
	{"escape.rate", "updates/s, 5 characters to escape in each of 6 values of 8", true},
	{"escape.cpu_per_m", "… CPU s per million updates", false},
	{"requests.start_ms", "start of the process to initialised, ms", false},
	{"first.first_ms", "start of the process to the first update received, ms", false},
	{"size.program", "size of a hello-world program, MB", false},
	{"size.stripped", "… stripped (-ldflags '-s -w')", false},
	{"drain.rate", "lines/s when only counted, not verified", true},
}

// spreads are the measures whose spread is told.
var spreads = []string{
	"credit.rate", "credit.cpu_per_m", "credit8t.rate", "flood1.rate", "flood1000.rate", "flood4t.rate", "latency-eth.p50_us", "latency-eth.p99_us",
	"latency.p50_us", "latency.p99_us", "requests.w1_rate", "requests.w1024_rate", "storm.sub_s", "items1m.cpu_per_m", "large.mbps", "wide.rate", "first.first_ms",
}

// report is the whole of it, in Markdown.
func (c *comparison) report() string {
	var b strings.Builder
	c.head(&b)
	c.floorsTable(&b)
	c.table(&b)
	if c.rounds > 1 {
		c.spreadTable(&b)
	}
	fmt.Fprintf(&b, "\nMachine noise meanwhile: fixed work took %s ms at the median, %s to %s; steal time %.1f %%; load average before the first run %s.\n",
		human(median(c.calib)), human(quantile(c.calib, 0)), human(quantile(c.calib, 1)), c.steal*100, c.load)
	if len(c.errs) == 0 {
		fmt.Fprintf(&b, "Every line received was well formed, in order and complete. Took %.0f s.\n", c.took.Seconds())
	} else {
		fmt.Fprintf(&b, "ERRORS (see the standard error): %v. Took %.0f s.\n", c.errs, c.took.Seconds())
	}
	return b.String()
}

func (c *comparison) head(b *strings.Builder) {
	rounds := fmt.Sprintf("%d interleaved rounds", c.rounds)
	if c.rounds == 1 {
		rounds = "a single round"
	}
	if c.quick {
		rounds = "a single short round, with a tenth of the items, which proves that it works and measures little"
	}
	fmt.Fprintf(b, "Taken on %s with `%s`: %s.\n\n", c.begin.Format("2006-01-02 15:04"), c.command, rounds)
	fmt.Fprintf(b, "* Machine: %s; %s. The harness and the adapter share it, and talk over the loopback interface.\n", machine(), runtime.Version())
	for _, p := range c.peers {
		if p.Version != "" {
			fmt.Fprintf(b, "* **%s**: %s.\n", p.Name, p.Version)
		}
	}
}

func (c *comparison) floorsTable(b *strings.Builder) {
	b.WriteString("\n### Floors\n\n| figure | peer | must reach | measured | |\n|---|---|---:|---:|---|\n")
	for _, v := range c.verdicts() {
		state := "missed"
		switch {
		case v.Measured == nil:
			state = "not measured"
		case v.Reached:
			state = "reached"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", v.Figure, v.Peer, v.Wanted, v.text, state)
	}
}

// tableHead begins a table with a column for each peer.
func (c *comparison) tableHead(b *strings.Builder, first ...string) {
	b.WriteString("|")
	for _, f := range first {
		b.WriteString(" " + f + " |")
	}
	for _, p := range c.peers {
		b.WriteString(" " + p.Name + " |")
	}
	b.WriteString("\n|" + strings.Repeat("---|", len(first)) + strings.Repeat("---:|", len(c.peers)) + "\n")
}

// line adds one row of cells.
func (c *comparison) line(b *strings.Builder, first string, cell func(peer string) string) {
	b.WriteString("| " + first + " |")
	for _, p := range c.peers {
		b.WriteString(" " + cell(p.Name) + " |")
	}
	b.WriteString("\n")
}

func (c *comparison) table(b *strings.Builder) {
	fmt.Fprintf(b, "\n### All measures\n\nMedians; in parentheses the ratio to %s, the median of the rounds' ratios. ↑: more is better. –: not applicable, or not run.\n\n",
		cmp.Or(c.base, "nothing"))
	c.tableHead(b, "", "")
	for _, r := range rows {
		m := c.vals[r.key]
		if len(m) == 0 {
			continue
		}
		dir := "↓"
		if r.higher {
			dir = "↑"
		}
		c.line(b, r.label+" | "+dir, func(p string) string { return c.cell(r.key, p) })
	}
	limit := c.vals["flood1000.rate"]["limit"]
	if math.IsNaN(median(limit)) {
		return
	}
	for _, k := range []string{"credit", "flood1000", "flood1"} {
		c.line(b, k+": share of the limit writer's rate, 1000 items | ↑", func(p string) string {
			if q := ratio(c.vals[k+".rate"][p], limit); !math.IsNaN(q) {
				return fmt.Sprintf("%.3g %%", q*100)
			}
			return "–"
		})
	}
}

func (c *comparison) cell(key, peer string) string {
	m := c.vals[key]
	v := median(m[peer])
	if math.IsNaN(v) {
		return "–"
	}
	s := human(v)
	if q := ratio(m[peer], m[c.base]); peer != c.base && !math.IsNaN(q) {
		s += " (" + times(q) + ")"
	}
	if name, _, _ := strings.Cut(key, "."); median(c.vals[name+".behind"][peer]) == 1 {
		s += " behind!"
	}
	return s
}

func (c *comparison) spreadTable(b *strings.Builder) {
	b.WriteString("\n### Spread over the rounds\n\n(max−min)/median:\n\n")
	c.tableHead(b, "")
	for _, k := range spreads {
		if len(c.vals[k]) == 0 {
			continue
		}
		c.line(b, k, func(p string) string {
			if s := spread(c.vals[k][p]); !math.IsNaN(s) {
				return fmt.Sprintf("%.0f %%", s*100)
			}
			return "–"
		})
	}
}

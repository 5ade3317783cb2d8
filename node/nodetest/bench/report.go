package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// figure is one measured thing beside its limit.
type figure struct {
	ID      string    `json:"id"`   // as in quality.md
	What    string    `json:"what"` // from where to where
	Unit    string    `json:"unit"`
	Of      []float64 `json:"-"`
	Limit   []float64 `json:"-"`
	LimitIs string    `json:"limit_is,omitempty"`
	Goal    string    `json:"goal,omitempty"`
	More    bool      `json:"more_is_better,omitempty"`
	Pass    bool      `json:"pass"`

	// Filled by add.
	Ours   spread  `json:"ours"`
	Theirs *spread `json:"limit,omitempty"`
	Ratio  float64 `json:"ratio,omitempty"` // median to median
	Ratio9 float64 `json:"ratio_p99,omitempty"`
}

// spread is a median and how far from it the rest lies.
type spread struct {
	N   int     `json:"n"`
	Min float64 `json:"min"`
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func spreadOf(v []float64) spread {
	s := slices.Sorted(slices.Values(v))
	return spread{N: len(s), Min: s[0], P50: quantile(s, 0.5), P99: quantile(s, 0.99), Max: s[len(s)-1]}
}

// quantile reads sorted values, the nearest rank.
func quantile(sorted []float64, q float64) float64 {
	return sorted[int(math.Round(q*float64(len(sorted)-1)))]
}

func median(v []float64) float64 { return spreadOf(v).P50 }

func ratio(a, b []float64) float64 { return median(a) / median(b) }

func millis(ds []time.Duration) []float64 {
	out := make([]float64, len(ds))
	for i, d := range ds {
		out[i] = float64(d.Microseconds()) / 1000
	}
	return out
}

// report is what a run found.
type report struct {
	At      time.Time `json:"at"`
	Quick   bool      `json:"quick"`
	Machine machine   `json:"machine"`
	Figures []figure  `json:"figures"`
}

// machine says in neutral words what the run had: never a name or a path.
type machine struct {
	OS    string  `json:"os"`
	Arch  string  `json:"arch"`
	Cores int     `json:"cores"`
	Go    string  `json:"go"`
	Load  float64 `json:"load_at_start"` // of everything on the machine, one minute's average
}

func newReport(quick bool) *report {
	r := &report{At: time.Now().UTC(), Quick: quick, Machine: machine{OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(b), &r.Machine.Load)
	}
	return r
}

// add takes a figure in and tells it at once.
func (r *report) add(f figure) {
	f.Ours = spreadOf(f.Of)
	if len(f.Limit) > 0 {
		s := spreadOf(f.Limit)
		f.Theirs, f.Ratio = &s, f.Ours.P50/s.P50
		if len(f.Limit) >= 50 {
			f.Ratio9 = f.Ours.P99 / s.P99
		}
	}
	r.Figures = append(r.Figures, f)
	fmt.Fprintln(os.Stderr, "  "+f.line())
}

func (f figure) line() string {
	s := fmt.Sprintf("%-12s %s %s", f.ID, f.Ours.text(), f.Unit)
	if f.Theirs != nil {
		s += fmt.Sprintf("  limit %s  %s", f.Theirs.text(), f.ratios())
	}
	return s
}

func (f figure) ratios() string {
	if f.Ratio == 0 {
		return ""
	}
	s := fmt.Sprintf("%.2f×", f.Ratio)
	if f.Ratio9 > 0 {
		s += fmt.Sprintf(" (p99 %.2f×)", f.Ratio9)
	}
	return s
}

// text shows a spread as median [least–p99], or a single value.
func (s spread) text() string {
	switch {
	case s.N == 1:
		return number(s.P50)
	case s.N < 50:
		return fmt.Sprintf("%s [%s–%s]", number(s.P50), number(s.Min), number(s.Max))
	}
	return fmt.Sprintf("%s [%s–%s p99]", number(s.P50), number(s.Min), number(s.P99))
}

// number shows three digits that count.
func number(v float64) string {
	switch {
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// print writes the table as Markdown.
func (r *report) print(w io.Writer) {
	fmt.Fprintln(w, "| # | what | ours | limit in the same run | ratio | goal | first goal met |")
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- | --- |")
	for _, f := range r.Figures {
		limit, met := "—", "yes"
		if f.Theirs != nil {
			limit = f.Theirs.text() + ": " + f.LimitIs
		}
		switch {
		case f.Goal == "":
			met = "—"
		case !f.Pass:
			met = "**no**"
		}
		fmt.Fprintf(w, "| %s | %s | %s %s | %s | %s | %s | %s |\n", f.ID, f.What, f.Ours.text(), f.Unit, limit, f.ratios(), f.Goal, met)
	}
}

// save writes the JSON into the folder, and the document if one is named:
// what stands in it between the two marks is replaced.
func (r *report) save(folder, doc string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	name := r.At.Format("2006-01-02T150405") + ".json"
	if err := os.WriteFile(filepath.Join(folder, name), append(b, '\n'), 0o644); err != nil {
		return err
	}
	if doc == "" {
		return nil
	}
	return r.document(doc)
}

const (
	docBegin = "<!-- figures: written by make bench -->\n"
	docEnd   = "<!-- end of figures -->\n"
)

func (r *report) document(name string) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading the document to write figures into: %w", err)
	}
	head, rest, found := strings.Cut(string(old), docBegin)
	_, tail, ended := strings.Cut(rest, docEnd)
	if !found || !ended {
		return fmt.Errorf("%s has no marks to write figures between", filepath.Base(name))
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s%s\nMeasured %s on %d shared cores, %s/%s, %s; load of the machine when it began: %.1f.\n\n", head, docBegin,
		r.At.Format("2006-01-02 15:04 UTC"), r.Machine.Cores, r.Machine.OS, r.Machine.Arch, r.Machine.Go, r.Machine.Load)
	r.print(&s)
	s.WriteString("\n" + docEnd + tail)
	return os.WriteFile(name, []byte(s.String()), 0o644)
}

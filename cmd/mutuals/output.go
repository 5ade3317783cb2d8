package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"

	"mutuals/node/api"
)

// show writes an answer: in the API's own shape, on one line, with --json; else
// as human tells it.
func show[T any](c *cli, answer T, human func(T)) error {
	if c.json {
		return c.line(answer)
	}
	human(answer)
	return nil
}

// showList writes a list as the API does, {"items": […]}, or as a table.
func showList[T any](c *cli, items []T, human func([]T)) error {
	if c.json {
		return c.line(api.List[T]{Items: items})
	}
	human(items)
	return nil
}

// line writes one JSON value on one line.
func (c *cli) line(v any) error {
	c.spoke = true
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// say writes a line of the answer.
// inWords picks what is said in the person's language.
func (c *cli) inWords(en, zh string) string {
	if c.lang == api.Chinese {
		return zh
	}
	return en
}

func (c *cli) say(format string, a ...any) { fmt.Fprintf(c.out, format+"\n", a...) }

// clean makes text of others harmless on a terminal: control characters,
// which could move the cursor or recolour the screen, and characters that
// reverse the direction of reading are shown as their code points.
func clean(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			fmt.Fprintf(&b, "<%04X>", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// oneLine is clean text with its line breaks shown, for tables.
func oneLine(s string) string {
	return clean(strings.NewReplacer("\r\n", " ⏎ ", "\n", " ⏎ ", "\t", " ").Replace(s))
}

// columns counts the places text takes on a terminal: Chinese characters and
// emoji take two, combining marks none.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case width.LookupRune(r).Kind() == width.EastAsianWide, width.LookupRune(r).Kind() == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// table writes rows below a head, in columns two places apart; with no rows it
// says instead what is empty.
func (c *cli) table(empty string, head []string, rows [][]string) {
	if len(rows) == 0 {
		c.note("%s", empty)
		return
	}
	widths := make([]int, len(head))
	all := append([][]string{head}, rows...)
	for i, row := range all {
		for j, cell := range row {
			if i > 0 {
				row[j] = oneLine(cell)
			}
			widths[j] = max(widths[j], columns(row[j]))
		}
	}
	for i, row := range all {
		var b strings.Builder
		for j, cell := range row {
			b.WriteString(cell)
			if j < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[j]-columns(cell)+2))
			}
		}
		text := strings.TrimRight(b.String(), " ")
		if i == 0 {
			text = c.dim(text)
		}
		c.say("%s", text)
	}
}

// facts writes pairs of name and value, one a line; pairs without a value are
// left out.
func (c *cli) facts(pairs ...string) {
	wide := 0
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			wide = max(wide, columns(pairs[i]))
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		pad := strings.Repeat(" ", wide-columns(pairs[i])+2)
		c.say("%s%s%s", c.dim(pairs[i]), pad, oneLine(pairs[i+1]))
	}
}

// moment tells a time in the person's zone, short.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

// yesNo tells a truth value.
func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// short is the beginning of an id, enough to type in a verb that takes one.
func short(id fmt.Stringer) string {
	s := id.String()
	return s[:min(len(s), 14)]
}

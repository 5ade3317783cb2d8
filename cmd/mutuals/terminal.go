package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"mutuals/node/api"
)

// maxInput bounds what is read from standard input: the longest thing the API
// takes is a pasted text of 64 KiB.
const maxInput = 64 << 10

// cli is one run of the command line: its streams and its global flags.
type cli struct {
	in       io.Reader
	lines    *bufio.Reader // reads in; one reader, so that nothing is lost between questions
	out, err io.Writer
	env      func(string) string
	lang     api.Lang

	homeDir            string
	json, yes, noStart bool

	began  bool // the parser was satisfied and the verb runs
	spoke  bool // JSON was written to standard output
	client *api.Client
}

func newCLI(in io.Reader, out, err io.Writer, env func(string) string) *cli {
	return &cli{in: in, lines: bufio.NewReader(in), out: out, err: err, env: env, lang: language(env)}
}

// language follows the locale's usual order of precedence.
func language(env func(string) string) api.Lang {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := env(name); v != "" {
			if strings.HasPrefix(strings.ToLower(v), "zh") {
				return api.Chinese
			}
			return api.English
		}
	}
	return api.English
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// interactive tells whether a question would be seen and can be answered.
func (c *cli) interactive() bool { return isTerminal(c.in) && isTerminal(c.err) && !c.json }

// styled tells whether standard output takes colours (https://no-color.org).
func (c *cli) styled() bool {
	return isTerminal(c.out) && c.env("NO_COLOR") == "" && c.env("TERM") != "dumb"
}

func (c *cli) style(code, s string) string {
	if s == "" || !c.styled() {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (c *cli) bold(s string) string { return c.style("1", s) }
func (c *cli) dim(s string) string  { return c.style("2", s) }

// note writes a line for the person, beside the answer.
func (c *cli) note(format string, a ...any) { fmt.Fprintf(c.err, format+"\n", a...) }

// readLine reads one line; at the end of input it returns io.EOF.
func (c *cli) readLine() (string, error) {
	s, err := c.lines.ReadString('\n')
	if err != nil && (s == "" || !errors.Is(err, io.EOF)) {
		return "", err
	}
	return strings.TrimRight(s, "\r\n"), nil
}

// ask puts a question and returns the line that answers it.
func (c *cli) ask(question string) (string, error) {
	fmt.Fprint(c.err, question)
	s, err := c.readLine()
	if err != nil {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	return strings.TrimSpace(s), nil
}

// agree asks for a yes; --yes gives it.
func (c *cli) agree(question string) (bool, error) {
	if c.yes {
		return true, nil
	}
	s, err := c.ask(question + " [y/N] ")
	if err != nil {
		return false, err
	}
	switch strings.ToLower(s) {
	case "y", "yes", "是", "好":
		return true, nil
	}
	return false, nil
}

// confirm lets a destructive act through: by --yes, or by a person's yes.
// Without a terminal there is nobody to ask, and the act does not happen.
func (c *cli) confirm(question string) error {
	if !c.yes && !c.interactive() {
		return usage("add --yes", "this cannot be undone and there is no terminal to ask on")
	}
	ok, err := c.agree(question)
	if err == nil && !ok {
		err = errors.New("nothing was done")
	}
	return err
}

// readSecret reads a line without echo from a terminal, or all of standard
// input where there is none.
func (c *cli) readSecret(question string) (string, error) {
	f, ok := c.in.(*os.File)
	if !ok || !isTerminal(f) {
		return c.readAll()
	}
	fmt.Fprint(c.err, question)
	b, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(c.err)
	if err != nil {
		return "", fmt.Errorf("reading without echo: %w", err)
	}
	return string(b), nil
}

// readAll reads standard input to its end.
func (c *cli) readAll() (string, error) {
	b, err := io.ReadAll(io.LimitReader(c.lines, maxInput+1))
	if err != nil {
		return "", fmt.Errorf("reading standard input: %w", err)
	}
	if len(b) > maxInput {
		return "", usage("give less text", "standard input holds more than %d KiB", maxInput>>10)
	}
	return string(b), nil
}

// text returns what a verb is to work on: its arguments as one text, standard
// input for "-" or where there are none, or what a person types or pastes,
// line by line until it is enough; without a judge of that, one line is.
func (c *cli) text(args []string, question string, enough func(text string) bool) (string, error) {
	switch {
	case len(args) == 1 && args[0] == "-":
		return c.readAll()
	case len(args) > 0:
		return strings.Join(args, " "), nil
	case !isTerminal(c.in):
		return c.readAll()
	case !c.interactive():
		return "", usage("give it as an argument, or - for standard input", "there is no text")
	}
	c.note("%s:", question)
	var text strings.Builder
	for {
		line, err := c.readLine()
		if errors.Is(err, io.EOF) {
			return text.String(), nil
		}
		if err != nil {
			return "", err
		}
		text.WriteString(line + "\n")
		if text.Len() > maxInput {
			return "", usage("give less text", "that is more than %d KiB", maxInput>>10)
		}
		if strings.TrimSpace(line) != "" && (enough == nil || enough(text.String())) {
			return text.String(), nil
		}
	}
}

package main

import (
	"bytes"
	"fmt"
	"strings"

	"mutuals/node/api"
)

// textLength is what a message of the benchmarks has, in bytes: a long
// sentence or two.
const textLength = 300

// frameLength is what a message of textLength weighs on a topic, in bytes: padded,
// sealed and signed (frameBytes of TestWireBytes).
const frameLength = 720

// textOf finds the text of an event's line; none of texts has anything in it that JSON
// writes in another way. It is not decoded: the program that measures shares the
// machine with what it measures.
func textOf(line []byte) (text string, ok bool) {
	if !bytes.Contains(line, []byte(`"type":"`+api.EventMessageCreated+`"`)) {
		return "", false
	}
	_, rest, ok := bytes.Cut(line, []byte(`"text":"`))
	if !ok {
		return "", false
	}
	b, _, ok := bytes.Cut(rest, []byte(`"`))
	return string(b), ok
}

// texts makes texts of textLength, no two alike.
type texts struct{ n int }

func (t *texts) next() string {
	t.n++
	head := fmt.Sprintf("message %d. ", t.n)
	return head + strings.Repeat("The forecast is good. ", textLength)[:textLength-len(head)]
}

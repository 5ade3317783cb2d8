package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// textLength is what a message of the benchmarks has, in bytes: a long
// sentence or two.
const textLength = 300

// textOf returns the text of an event's message.
func textOf(object json.RawMessage) string {
	var m struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(object, &m) != nil {
		return ""
	}
	return m.Text
}

// texts makes texts of textLength, no two alike.
type texts struct{ n int }

func (t *texts) next() string {
	t.n++
	head := fmt.Sprintf("message %d. ", t.n)
	return head + strings.Repeat("The forecast is good. ", textLength)[:textLength-len(head)]
}

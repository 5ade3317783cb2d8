package seal

import (
	"fmt"
	"io"
)

// Secrets print as "[secret]" under every verb, so that none ends in a log.

// Format implements fmt.Formatter.
func (Secret) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[secret]") }

// Format implements fmt.Formatter.
func (SenderKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[secret]") }

// Format implements fmt.Formatter.
func (MessageKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[secret]") }

// Format implements fmt.Formatter; topic and rendezvous are secrets of the
// group too.
func (Keys) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[secret]") }

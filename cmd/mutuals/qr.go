package main

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// qr draws text as a QR code of half blocks, two modules a character, with the
// quiet zone of four that scanners need. It is drawn dark on light whatever
// the terminal's colours, unless colours are off.
func (c *cli) qr(text string) error {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return fmt.Errorf("drawing the QR code: %w", err)
	}
	const quiet = 4
	// A light module is drawn as a block, so that on a dark terminal the
	// picture comes out the right way round.
	light := func(x, y int) bool { return !code.Black(x, y) }
	for y := -quiet; y < code.Size+quiet; y += 2 {
		var b strings.Builder
		for x := -quiet; x < code.Size+quiet; x++ {
			switch up, down := light(x, y), light(x, y+1); {
			case up && down:
				b.WriteRune('█')
			case up:
				b.WriteRune('▀')
			case down:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		c.say("%s", c.style("97;40", b.String()))
	}
	return nil
}

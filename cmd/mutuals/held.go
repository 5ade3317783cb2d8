package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"mutuals/node/api"
)

// heldWords tells where an own message is; nothing here claims more than is
// known.
func heldWords(m api.Message, l api.Lang) string {
	zh := l == api.Chinese
	switch {
	case m.ReadBy > 0 && m.HeldBy > 0 && zh:
		return fmt.Sprintf("%d/%d 人已保存，%d 人已读", m.HeldBy, m.HeldOf, m.ReadBy)
	case m.ReadBy > 0 && m.HeldBy > 0:
		return fmt.Sprintf("held by %d of %d, read by %d", m.HeldBy, m.HeldOf, m.ReadBy)
	case m.HeldBy > 0 && zh:
		return fmt.Sprintf("%d/%d 人已保存", m.HeldBy, m.HeldOf)
	case m.HeldBy > 0:
		return fmt.Sprintf("held by %d of %d", m.HeldBy, m.HeldOf)
	case m.HeldOf == 0 && zh:
		return "在这台机器上，群里没有别人"
	case m.HeldOf == 0:
		return "on this disk, nobody else is in the group"
	case m.State == api.StateSent && zh:
		return "已发出，还没有人确认保存"
	case m.State == api.StateSent:
		return fmt.Sprintf("sent, none of %d has reported it yet", m.HeldOf)
	case zh:
		return "只在这台机器上"
	}
	return fmt.Sprintf("on this disk only, none of %d has it", m.HeldOf)
}

// safeWords tells whether a machine may be switched off.
func safeWords(safe bool, onlyHere int, l api.Lang) string {
	zh := l == api.Chinese
	switch {
	case safe && zh:
		return "是"
	case safe:
		return "yes"
	case zh:
		return fmt.Sprintf("否：有 %d 条内容只在这台机器上", onlyHere)
	}
	return fmt.Sprintf("no: %d of what you wrote is on this machine alone", onlyHere)
}

// delivered follows events from one on until a member has reported an own
// message on its disk, and returns the message as it is then; after a while, as
// it was last and context.DeadlineExceeded.
func (c *cli) delivered(ctx context.Context, m api.Message, from string, wait time.Duration) (api.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if now, err := c.client.Message(ctx, m.Group, m.ID.String()); err == nil {
		m = now
	}
	if m.State == api.StateDelivered {
		return m, nil
	}
	for e, err := range c.client.Events(ctx, from) {
		if ctx.Err() != nil {
			return m, ctx.Err()
		}
		if err != nil {
			return m, err
		}
		if e.Type != api.EventMessageUpdated || e.Group != m.Group {
			continue
		}
		var now api.Message
		if err := json.Unmarshal(e.Object, &now); err != nil {
			return m, fmt.Errorf("reading an event: %w", err)
		}
		if now.ID != m.ID {
			continue
		}
		if m = now; m.State == api.StateDelivered {
			return m, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return m, err
	}
	return m, context.DeadlineExceeded
}

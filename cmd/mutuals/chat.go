package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

// chatPage is how much of the past a chat begins with: what fits above the
// line one types on in a small terminal.
const chatPage = 12

func newChat(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "chat [GROUP]",
		Short: "Talk: shows what comes and sends what you type, line by line",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			g, err := c.chatGroup(ctx, args)
			if err != nil {
				return err
			}
			c.note("%s: type a line and press Enter; /quit or Ctrl-D ends.", oneLine(nameOfGroup(g)))
			return c.chat(ctx, g)
		},
	}
}

// chatGroup is the group named, or the only one there is.
func (c *cli) chatGroup(ctx context.Context, args []string) (api.Group, error) {
	if len(args) > 0 {
		return c.group(ctx, args[0])
	}
	client, err := c.connect(ctx)
	if err != nil {
		return api.Group{}, err
	}
	groups, err := client.Groups(ctx)
	if err != nil {
		return api.Group{}, err
	}
	if len(groups) == 1 {
		return groups[0], nil
	}
	return api.Group{}, usage("name one: mutuals chat GROUP", "there are %d groups", len(groups))
}

// chat shows what comes and sends what is typed, until either ends.
func (c *cli) chat(ctx context.Context, g api.Group) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	snap, err := c.client.Snapshot(ctx)
	if err != nil {
		return err
	}
	r := reader{c: c, group: g, bar: bar{c: c}}
	page, err := r.page(ctx, "", "", chatPage)
	if err != nil {
		return err
	}
	for _, m := range page {
		if err := r.show(ctx, m); err != nil {
			return err
		}
	}
	c.tellComplete(g)
	if err := c.tellComing(ctx, g); err != nil {
		return err
	}
	shown := make(chan error, 1)
	go func() { shown <- r.follow(ctx, snap.EventID, page) }()

	// Reading a terminal cannot be interrupted: the goroutine below ends with
	// the process, or with its next line, which nobody takes.
	typed, failed := make(chan string), make(chan error, 1)
	go func() {
		for {
			line, err := c.readLine()
			if err != nil {
				failed <- err
				return
			}
			select {
			case typed <- line:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case err := <-shown:
			return err
		case err := <-failed:
			stop()
			<-shown
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case line := <-typed:
			line = strings.TrimSpace(line)
			if line == "/quit" {
				stop()
				<-shown
				return nil
			}
			if line == "" {
				continue
			}
			if _, err := c.client.Send(ctx, g.ID, api.MessageCreate{Text: line}); err != nil {
				// One line that was refused does not end the conversation.
				var p *api.Problem
				if !errors.As(err, &p) {
					return err
				}
				c.fail(err)
			}
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newDown(c *cli) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "down [--force]",
		Short: "Stop the node",
		Long: "Stop the node. What was acknowledged is on disk already. While something you wrote is on this machine\n" +
			"alone, it asks, or without a terminal refuses (exit code 8); --force stops all the same, and ends a\n" +
			"node that does not answer.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			h, err := c.home()
			if err != nil {
				return err
			}
			e, err := h.ReadEndpoint()
			if err != nil && !errors.Is(err, api.ErrNotRunning) {
				return err
			}
			if err == nil {
				c.client, err = api.Connect(ctx, e, c.lang)
			}
			if err == nil {
				err = c.shutdown(ctx, force)
			}
			switch {
			case errors.Is(err, api.ErrNotRunning) && !(force && e.PID > 0 && alive(e.PID)):
				c.note("no node is running on this home")
				return nil
			case err != nil && !force:
				return err
			}
			if force && err != nil {
				if err := kill(e.PID); err != nil {
					return fmt.Errorf("ending process %d: %w", e.PID, err)
				}
			}
			err = stopped(ctx, e.PID)
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				if !force {
					return &failure{api.ExitNetwork, "mutuals down --force", fmt.Errorf("process %d has not ended within %v", e.PID, stopTime)}
				}
				err = kill(e.PID)
			}
			if err != nil {
				return err
			}
			c.note("stopped")
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "stop though something is here alone; end the process if it does not answer")
	return cmd
}

// shutdown asks the node to stop; where it would take the only copy of
// something out of reach, a person at a terminal decides.
func (c *cli) shutdown(ctx context.Context, force bool) error {
	err := c.client.Shutdown(ctx, !force)
	var p *api.Problem
	if !errors.As(err, &p) || p.Code != api.OnlyCopy || !c.interactive() {
		return err
	}
	ok, asked := c.agree(p.In(c.lang).Error() + map[bool]string{true: " 仍要停止吗？", false: " Stop all the same?"}[c.lang == api.Chinese])
	if asked != nil || !ok {
		return errors.Join(err, asked)
	}
	return c.client.Shutdown(ctx, false)
}

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
		Long:  "Stop the node. What was acknowledged is on disk already; --force ends a node that does not answer.",
		Args:  cobra.NoArgs,
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
				err = c.client.Shutdown(ctx)
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
	cmd.Flags().BoolVar(&force, "force", false, "end the process if it does not answer")
	return cmd
}

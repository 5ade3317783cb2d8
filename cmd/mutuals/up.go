package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newUp(c *cli) *cobra.Command {
	var foreground bool
	cmd := &cobra.Command{
		Use:   "up [--foreground] [-- FLAGS OF mutualsd]",
		Short: "Start the node in the background",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			h, err := c.home()
			if err != nil {
				return err
			}
			c.client, err = api.Dial(ctx, h, c.lang)
			switch {
			case err == nil:
				return c.greet(ctx)
			case !errors.Is(err, api.ErrNotRunning):
				return err
			case foreground:
				return c.attend(ctx, h, args)
			}
			if c.client, err = c.start(ctx, h, args); err != nil {
				return err
			}
			return c.greet(ctx)
		},
	}
	cmd.Flags().BoolVar(&foreground, "foreground", false, "stay in this terminal; Ctrl-C stops the node")
	return cmd
}

// greet tells that the node runs, where, and what to do next.
func (c *cli) greet(ctx context.Context) error {
	st, err := c.client.Status(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.line(st)
	}
	c.say("mutuals is running (process %d)", c.client.Endpoint().PID)
	c.facts("account", told(st), "page", st.UI)
	me := "mutuals"
	if self := os.Args[0]; self == "./bin/mutuals" || self == "bin/mutuals" {
		me = "bin/mutuals"
	}
	if c.homeDir != "" {
		me += " --home " + c.homeDir
	}
	c.note("\nNext, in another terminal:")
	if st.Identity == api.IdentityNone {
		c.note("  %s init --name YOU          make an account", me)
		c.note("  %s group create NAME        make a group", me)
		c.note("  %s join                     or paste the passcode of a friend's", me)
		return nil
	}
	c.note("  %s group list               your groups", me)
	c.note("  %s invite GROUP             a passcode for a friend", me)
	c.note("  %s chat GROUP               talk", me)
	return nil
}

// attend runs mutualsd in this terminal until it ends.
func (c *cli) attend(ctx context.Context, h api.Home, args []string) error {
	daemon, err := findDaemon()
	if err != nil {
		return err
	}
	if c.homeDir != "" {
		args = append([]string{"--home", c.homeDir}, args...)
	}
	cmd := exec.Command(daemon, args...)
	cmd.Stdout, cmd.Stderr = c.err, c.err
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting mutualsd: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	look := time.NewTicker(lookEvery)
	defer look.Stop()
	done, tick := ctx.Done(), look.C
	for {
		select {
		case err := <-ended:
			if err == nil || ctx.Err() != nil {
				return nil // ended by Ctrl-C, or by mutuals down: as it should
			}
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() > 0 {
				return &failure{api.Exit(exit.ExitCode()), "", errors.New("mutualsd ended with the error above")}
			}
			return fmt.Errorf("running mutualsd: %w", err)
		case <-done:
			// Ctrl-C in a terminal reaches the child as well; kill may not.
			done = nil
			if err := interrupt(cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return fmt.Errorf("stopping mutualsd: %w", err)
			}
		case <-tick:
			client, err := api.Dial(ctx, h, c.lang)
			if err != nil {
				continue
			}
			c.client, tick = client, nil
			if err := c.greet(ctx); err != nil && ctx.Err() == nil {
				return err
			}
			c.note("\nCtrl-C stops it.")
			c.browse(ctx)
		}
	}
}

// browse opens the page where there is a display to open it on.
func (c *cli) browse(ctx context.Context) {
	st, err := c.client.Status(ctx)
	if err != nil || st.UI == "" || c.json {
		return
	}
	var opener string
	switch runtime.GOOS {
	case "darwin":
		opener = "open"
	case "windows":
		opener = "explorer"
	default:
		if c.env("DISPLAY") == "" && c.env("WAYLAND_DISPLAY") == "" {
			return
		}
		opener = "xdg-open"
	}
	cmd := exec.Command(opener, st.UI)
	if err := cmd.Start(); err != nil {
		return // the address was printed
	}
	go cmd.Wait()
}

// told says who a node speaks for.
func told(st api.Status) string {
	switch st.Identity {
	case api.IdentityNone:
		return "none yet"
	case api.IdentityLocked:
		return "locked"
	}
	return st.Account.String()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

// run executes one command line and returns its exit code.
func run(ctx context.Context, c *cli, args []string) api.Exit {
	root := newRoot(c)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if c.client != nil {
		c.client.Close()
	}
	switch {
	case err == nil:
		return api.ExitOK
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return api.ExitInterrupted
	case !c.began:
		// Refused by the parser: a flag or an argument.
		err = usage(strings.TrimSuffix(cmd.UseLine(), " [flags]")+", or --help", "%w", err)
	}
	return c.fail(err)
}

func newRoot(c *cli) *cobra.Command {
	root := &cobra.Command{
		Use:   "mutuals",
		Short: "Groups of people who know each other, without a server",
		Long: `Groups of people who know each other, without a server.

Begin:  mutuals init, then mutuals group create NAME and mutuals invite NAME,
or mutuals join with the passcode somebody sent you.

The node runs in the background and is started when it is needed.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRun: func(*cobra.Command, []string) {
			c.began = true
		},
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	f := root.PersistentFlags()
	f.StringVar(&c.homeDir, "home", "", "folder of the node (default $MUTUALS_HOME, else the platform's)")
	f.BoolVar(&c.json, "json", false, "answer in JSON, as the API does")
	f.BoolVarP(&c.yes, "yes", "y", false, "ask nothing: yes to all")
	f.BoolVar(&c.noStart, "no-start", false, "do not start the node if it is not running")

	groups := []struct {
		title string
		verbs []*cobra.Command
	}{
		{"This node:", []*cobra.Command{newInit(c), newUp(c), newDown(c), newStatus(c), newDoctor(c), newNetwork(c), newMetrics(c), newBackup(c), newConfig(c), newEvents(c), newAPI(c), newVersion(c)}},
		{"People:", []*cobra.Command{newID(c), newDevices(c), newProfile(c), newFollow(c), newUnfollow(c), newFollows(c), newFollowers(c), newFriends(c), newBlock(c), newUnblock(c), newRequests(c)}},
		{"Groups:", []*cobra.Command{newGroup(c), newMembers(c), newWaitlist(c), newInvite(c), newInvites(c), newHarbor(c), newInspect(c), newJoin(c)}},
		{"Talking:", []*cobra.Command{newSend(c), newDirect(c), newRead(c), newReceipts(c), newLog(c), newChat(c)}},
	}
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
		for _, v := range g.verbs {
			v.GroupID = g.title
			root.AddCommand(v)
		}
	}
	return root
}

// noun returns a command that only holds verbs.
func noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	names := make([]string, len(verbs))
	for i, v := range verbs {
		names[i] = v.Name()
	}
	cmd.AddCommand(verbs...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		hint := fmt.Sprintf("see %s --help", cmd.CommandPath())
		if len(args) > 0 {
			return usage(hint, "%s has no verb %q; there are: %s", cmd.CommandPath(), args[0], strings.Join(names, ", "))
		}
		return usage(hint, "%s needs a verb: %s", cmd.CommandPath(), strings.Join(names, ", "))
	}
	return cmd
}

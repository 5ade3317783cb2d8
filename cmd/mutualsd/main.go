package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"mutuals/node"
	"mutuals/node/api"
)

// version is set by the linker (see Makefile).
var version = "dev"

// memoryLimit is where the collector begins to work hard, unless GOMEMLIMIT
// says otherwise: more than twice what a node with a million messages holds (45 to
// 60 MB). While the store makes tables of others it comes near; only catching up with
// a long history is held back by it, a little.
const memoryLimit = 128 << 20

func main() {
	keepPrivate()
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(int(code))
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, env func(string) string, out, errs io.Writer) api.Exit {
	var s settings
	serving := false
	root := &cobra.Command{
		Use:           "mutualsd",
		Short:         "A mutuals node, in the foreground",
		Long:          "A mutuals node, in the foreground. Each flag is also MUTUALS_… in the environment\nand a key of config.toml; a flag beats the environment, which beats the file.",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	s.flags(root.Flags())
	root.PersistentFlags().AddFlag(root.Flags().Lookup("home"))
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		h, err := api.FindHome(s.home)
		if err != nil {
			return err
		}
		if err := s.complete(cmd.Flags(), env, h.Config); err != nil {
			return err
		}
		var level slog.Level
		if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
			return err
		}
		serving = true
		log := slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: level}))
		return serve(cmd.Context(), s, h, log)
	}
	root.AddCommand(newStore(&s, &serving))
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return api.ExitOK
	}
	exit, hint := api.ExitUsage, "mutualsd --help lists the settings"
	if serving {
		exit, hint = api.ExitFailure, ""
	}
	var inUse *node.HomeInUse
	if errors.As(err, &inUse) {
		exit, hint = api.ExitConflict, "mutuals down stops it; --home DIR names another home"
	}
	switch damaged, restorable := node.StoreDamaged(err); {
	case restorable:
		hint = "mutualsd store restore puts back the file as it was when the store was closed"
	case damaged:
		hint = "mutualsd store repair makes one again of what can be read; if that does not help, a backup (mutuals backup restore) or the 24 words (mutuals init --recover) bring the account back in a new home, named by --home"
	}
	fmt.Fprintf(errs, "mutualsd: error: %v\n", err)
	if hint != "" {
		fmt.Fprintf(errs, "hint: %s\n", hint)
	}
	return exit
}

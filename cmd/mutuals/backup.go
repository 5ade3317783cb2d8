package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"mutuals/node/api"
)

func newBackup(c *cli) *cobra.Command {
	return noun("backup", "Keep everything but the keys in an encrypted file, and bring it back", newBackupCreate(c), newBackupRestore(c), newBackupVerify(c))
}

func newBackupCreate(c *cli) *cobra.Command {
	var locked bool
	cmd := &cobra.Command{
		Use:   "create FILE [--passphrase]",
		Short: "Write people, groups, messages and settings into an encrypted file",
		Long: `Write people, groups, messages and settings into an encrypted file, which must
not exist. The 24 words of the account open it; with --passphrase a passphrase
does instead, which is asked for, or read from standard input. No key of this
device and no key of the account is in it. The node goes on meanwhile.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			in, err := c.backupFile(args[0])
			if err != nil {
				return err
			}
			make := api.BackupCreate{File: in.File}
			if locked {
				if make.Passphrase, err = c.newPassphrase(); err != nil {
					return err
				}
			}
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			task, err := client.Backup(ctx, make)
			if err != nil {
				return err
			}
			return c.watchBackup(cmd, task)
		},
	}
	cmd.Flags().BoolVar(&locked, "passphrase", false, "seal it to a passphrase instead of the words")
	return cmd
}

func newBackupVerify(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE",
		Short: "Read a backup to its end and say what is in it",
		Long: `Read a backup to its end and say what is in it. What opens it, the 24 words or
the passphrase, is asked for, or read from standard input.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			in, err := c.backupFile(args[0])
			if err != nil {
				return err
			}
			if sealedByPassphrase(in.File) {
				in.Passphrase, err = c.readSecret(c.inWords("Passphrase of the backup (not shown): ", "备份的口令短语（不显示）："))
				in.Passphrase = strings.TrimRight(in.Passphrase, "\r\n")
			} else {
				in.Words, err = c.readSecret(c.askWords())
				in.Words = strings.Join(strings.Fields(in.Words), " ")
			}
			if err != nil {
				return err
			}
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			task, err := client.VerifyBackup(ctx, in)
			if err != nil {
				return err
			}
			return c.watchBackup(cmd, task)
		},
	}
}

func newBackupRestore(c *cli) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "restore FILE [--name NAME]",
		Short: "Make this home a new device of the account a backup is of",
		Long: `Make this home, which must have no account yet, a new device of the account a
backup is of. The 24 words are always needed, for they make the device; they are
asked for, or read from standard input: the words on the first line, and on the
second the passphrase, if the backup has one. What was said can be read at once;
any member this device meets lets it back into its group, and then you can write.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			open, err := c.backupFile(args[0])
			if err != nil {
				return err
			}
			in := api.BackupRestore{File: open.File, Name: name}
			if in.Words, in.Passphrase, err = c.wordsAndPassphrase(sealedByPassphrase(open.File)); err != nil {
				return err
			}
			client, err := c.connect(ctx)
			if err != nil {
				return err
			}
			task, err := client.RestoreBackup(ctx, in)
			if err != nil {
				return err
			}
			if err := c.watchBackup(cmd, task); err != nil || c.json {
				return err
			}
			c.note("%s", c.inWords("\nThis is a new device of your account. Your groups can be read (mutuals log GROUP); to write,\nwait until a member of each is met and lets this device in, or follow a friend's card again.\nThen end the devices you lost: mutuals devices list, mutuals devices revoke DEVICE.",
				"\n这是你账号的一台新设备。群里的消息已经可以阅读（mutuals log 群）；要发言，请等到遇见群成员并由其让这台设备\n回到群里，或再关注一位朋友的名片。然后吊销丢失的设备：mutuals devices list，mutuals devices revoke 设备。"))
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "what others see; else as it was")
	return cmd
}

// backupFile makes a name absolute: the node may stand in another folder.
func (c *cli) backupFile(name string) (api.BackupOpen, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return api.BackupOpen{}, fmt.Errorf("finding %q: %w", name, err)
	}
	return api.BackupOpen{File: path}, nil
}

// sealedByPassphrase tells whether the head of an age file asks for one. A file
// that cannot be read here is for the node to refuse.
func sealedByPassphrase(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 64)
	n, err := io.ReadFull(f, head)
	return (err == nil || errors.Is(err, io.ErrUnexpectedEOF)) && bytes.Contains(head[:n], []byte("\n-> scrypt "))
}

// newPassphrase asks twice on a terminal.
func (c *cli) newPassphrase() (string, error) {
	one, err := c.readSecret(c.inWords("Passphrase for the backup (not shown): ", "给备份设一个口令短语（不显示）："))
	if err != nil {
		return "", err
	}
	one = strings.TrimRight(one, "\r\n")
	if isTerminal(c.in) {
		two, err := c.readSecret(c.inWords("Once more: ", "再输一次："))
		if err != nil {
			return "", err
		}
		if two != one {
			return "", usage("type the same twice", "the two differ")
		}
	}
	if one == "" {
		return "", usage("type one, or leave --passphrase away", "there is no passphrase")
	}
	return one, nil
}

// wordsAndPassphrase reads what a restore needs.
func (c *cli) wordsAndPassphrase(locked bool) (words, passphrase string, err error) {
	words, err = c.readSecret(c.askWords())
	if err == nil && locked && isTerminal(c.in) {
		passphrase, err = c.readSecret(c.inWords("Passphrase of the backup (not shown): ", "备份的口令短语（不显示）："))
	}
	if err != nil {
		return "", "", err
	}
	if locked && !isTerminal(c.in) {
		words, passphrase, _ = strings.Cut(strings.TrimRight(words, "\r\n"), "\n")
		passphrase = strings.TrimRight(passphrase, "\r")
	}
	return strings.Join(strings.Fields(words), " "), passphrase, nil
}

// watchBackup follows a task to its end and tells what the backup holds.
func (c *cli) watchBackup(cmd *cobra.Command, task api.Task) error {
	return c.watch(cmd.Context(), task, func(t api.Task) {
		if !t.Over() {
			c.note("%s", stageWords(t))
			return
		}
		if t.Result == nil || t.Result.Backup == nil {
			return
		}
		b := t.Result.Backup
		device := ""
		if t.Kind == api.TaskRestore {
			device = t.Result.Device.String()
		}
		c.facts("file", b.File, "bytes", fmt.Sprint(b.Bytes), "made", moment(b.At), "account", b.Account.String(), "by", b.Device.String(),
			"new device", device, "groups", fmt.Sprint(b.Groups), "operations", fmt.Sprint(b.Operations))
		if len(b.Unreadable) > 0 {
			c.note("%s", c.inWords("Not in it, for they cannot be read from this disk: ", "不在其中，因为无法从磁盘读出：")+oneLine(strings.Join(b.Unreadable, ", ")))
		}
	})
}
